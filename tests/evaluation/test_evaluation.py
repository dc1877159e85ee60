"""The stock Evaluator, on TFLite candidates."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from support.evaluator import is_blessed, metrics

from tfx_shrink.errors import ModelError
from tfx_shrink.evaluation import custom_eval_shared_model

RAW = {"preprocessing_function_names": ["transform_features"]}


def config(max_drop=0.5, min_accuracy=0.5, slices=None, **spec):
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": min_accuracy}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_drop}
        ),
    )
    metrics = [
        tfma.MetricConfig(class_name="SparseCategoricalAccuracy", threshold=threshold),
        tfma.MetricConfig(class_name="SparseCategoricalCrossentropy"),
    ]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(signature_name="serving_default", label_key="label", **spec)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
        slicing_specs=[tfma.SlicingSpec(), *(slices or [])],
    )


def scores_row_by_row(model_dir, x):
    """An independent loop over the interpreter, rounding and clipping by the textbook."""
    interpreter = tf.lite.Interpreter(f"{model_dir}/tflite")
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scores = []
    for row in x:
        value = row[None]
        if source["dtype"] == np.int8:
            scale, zero = source["quantization"]
            value = np.clip(np.rint(value / scale + zero), -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        output = interpreter.get_tensor(result["index"])[0]
        if result["dtype"] == np.int8:
            scale, zero = result["quantization"]
            output = (output.astype(np.float32) - zero) * scale
        scores.append(output)
    return np.array(scores)


def expected_metrics(scores, labels):
    shares = np.clip(scores / scores.sum(axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    return {
        "sparse_categorical_accuracy": float((scores.argmax(1) == labels).mean()),
        "sparse_categorical_crossentropy": float(
            -np.log(shares[range(len(labels)), labels]).mean()
        ),
    }


def test_int8_is_compared_with_float_on_raw_rows_that_keep_their_names(world, evaluate):
    outputs = evaluate(world.int8_model, world.raw_examples, config(**RAW), world.float_model)
    assert is_blessed(outputs)
    expected = expected_metrics(scores_row_by_row(world.int8_model, world.x), world.labels)
    assert expected["sparse_categorical_accuracy"] > 0.6
    found = metrics(outputs)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_integer_inputs_are_rounded_and_clipped_exactly(world, evaluate):
    outputs = evaluate(world.int8_io_model, world.raw_examples, config(**RAW), world.float_model)
    expected = expected_metrics(scores_row_by_row(world.int8_io_model, world.x), world.labels)
    found = metrics(outputs)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_transformed_rows_need_no_baseline(world, evaluate):
    outputs = evaluate(world.int8_model, world.transformed_examples, config())
    assert is_blessed(outputs)
    expected = expected_metrics(scores_row_by_row(world.int8_model, world.x), world.labels)
    found = metrics(outputs, model_name=None)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_raw_rows_are_transformed_by_an_attached_layer_too(world, evaluate):
    spec = {"preprocessing_function_names": ["tft_layer"]}
    outputs = evaluate(world.int8_model, world.raw_examples, config(**spec), world.layer_only_model)
    expected = expected_metrics(scores_row_by_row(world.int8_model, world.x), world.labels)
    found = metrics(outputs)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_a_name_that_transforms_nothing_is_answered_with_the_layers_that_do(world, evaluate):
    with pytest.raises(Exception, match=r"its Keras layers over raw features, \['tft_layer'\]"):
        evaluate(world.int8_model, world.raw_examples, config(**RAW), world.layer_only_model)


def test_a_missed_change_threshold_is_not_blessed(world, evaluate):
    outputs = evaluate(
        world.int8_model, world.raw_examples, config(max_drop=-0.1, **RAW), world.float_model
    )
    assert not is_blessed(outputs)


def test_slices_on_raw_features_reach_both_models(world, evaluate):
    slices = [tfma.SlicingSpec(feature_keys=["label"])]
    outputs = evaluate(
        world.int8_model, world.raw_examples, config(slices=slices, **RAW), world.float_model
    )
    for name in ("candidate", "baseline"):
        result = tfma.load_eval_result(outputs["evaluation"][0].uri, model_name=name)
        assert len(result.slicing_metrics) == 1 + 3


def test_raw_rows_without_a_baseline_are_refused_with_the_remedy(world, evaluate):
    with pytest.raises(ModelError, match=r"baseline_model=trainer\.outputs\['model'\]"):
        evaluate(world.int8_model, world.raw_examples, config(**RAW))


def test_raw_rows_without_preprocessing_are_refused_with_the_remedy(world, evaluate, tmp_path):
    raw = tf.data.TFRecordDataset(
        f"{world.raw_examples}/Split-eval/data_tfrecord-00000-of-00001.gz", "GZIP"
    )
    directory = tmp_path / "other" / "Split-eval"
    directory.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(directory / "rows")) as writer:
        for row in raw.take(20).as_numpy_iterator():
            example = tf.train.Example.FromString(row)
            example.features.feature["y"].CopyFrom(example.features.feature.pop("x"))
            writer.write(example.SerializeToString())
    with pytest.raises(Exception, match=r"preprocessing_function_names=\['transform_features'\]"):
        evaluate(world.int8_model, str(tmp_path / "other"), config(), world.float_model)


def test_a_savedmodel_is_judged_as_without_the_module(world, evaluate, tmp_path):
    arguments = (world.float_model, world.raw_examples, config(**RAW), world.float_model)
    with_module = metrics(evaluate(*arguments))
    stock = metrics(evaluate(*arguments, module_path=None))
    assert with_module == stock


def test_a_directory_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"neither saved_model\.pb nor tflite"):
        custom_eval_shared_model(str(tmp_path), "candidate", config())
