"""The stock Evaluator on what the Quantizer made of a model with string features."""

import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from support import matrix_models, rows
from support.evaluator import accuracy_config, evaluate, is_blessed, metrics
from support.matrix_runs import TFLITE, run_schemes

from tfx_shrink.quantizer.quantize import quantize

pytestmark = [pytest.mark.slow, pytest.mark.matrix]

RAW = {"preprocessing_function_names": ["transform_features"]}


@pytest.fixture(scope="module")
def strings(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("strings"))
    return run_schemes("strings", ["int8_io", "weight_int8"], root)


def scores_row_by_row(directory, inputs):
    """An independent loop over the interpreter, rounding and clipping by the textbook."""
    interpreter = tf.lite.Interpreter(os.path.join(directory, "tflite"))
    interpreter.allocate_tensors()
    (result,) = interpreter.get_output_details()
    (output_scale, output_zero), scores = result["quantization"], []
    for index in range(len(next(iter(inputs.values())))):
        for source in interpreter.get_input_details():
            name = source["name"].removeprefix("serving_default_").removesuffix(":0")
            value = inputs[name][index : index + 1]
            if source["dtype"] == np.int8:
                scale, zero = source["quantization"]
                value = np.clip(np.rint(value / np.float32(scale) + zero), -128, 127)
            interpreter.set_tensor(source["index"], value.astype(source["dtype"]))
        interpreter.invoke()
        output = interpreter.get_tensor(result["index"])[0]
        assert output.dtype == np.int8
        scores.append((output.astype(np.float32) - output_zero) * output_scale)
    return np.array(scores)


def expected_metrics(scores, labels):
    shares = np.clip(scores / scores.sum(axis=1, keepdims=True), 1e-7, 1 - 1e-7)
    right = shares[range(len(labels)), labels]
    return {
        "sparse_categorical_accuracy": float((scores.argmax(1) == labels).mean()),
        "sparse_categorical_crossentropy": float(-np.log(right).mean()),
    }


@pytest.mark.parametrize("scheme", ["int8_io", "weight_int8"])
def test_result_is_blessed_beside_its_source_on_raw_rows(strings, tmp_path, scheme):
    model, cell = strings.model, strings.cells[scheme]
    outputs = evaluate(
        str(tmp_path),
        cell.directory,
        model.examples,
        accuracy_config(min_accuracy=0.7, max_drop=0.03, **RAW),
        baseline=model.directory,
    )
    assert is_blessed(outputs)
    if scheme == "int8_io":
        scores = scores_row_by_row(cell.directory, strings.inputs[TFLITE])
    else:
        scores = cell.fresh["cpp"]["serving_default"]["outputs"]
    for name, scored in (
        ("candidate", scores),
        ("baseline", strings.expected["serving_default"]["outputs"]),
    ):
        expected = expected_metrics(scored, model.labels)
        found = metrics(outputs, name)
        assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-4)


def test_model_calibrated_on_other_rows_is_not_blessed_for_its_accuracy(tmp_path):
    model = matrix_models.build("mlp", str(tmp_path / "mlp"))
    images, _ = matrix_models.digits()
    faded = rows.write(tmp_path / "faded", {"image": images[:500].reshape(-1, 64) * 0.02})
    candidate = str(tmp_path / "int8_io" / "Format-Serving")
    quantize(model.directory, candidate, scheme="int8_io", examples=[faded])
    outputs = evaluate(
        str(tmp_path),
        candidate,
        model.examples,
        accuracy_config(min_accuracy=0.9, max_drop=0.02),
        baseline=model.directory,
    )
    assert not is_blessed(outputs)

    inputs = {"image": images[-len(model.rows) :].reshape(-1, 64)}
    expected = expected_metrics(scores_row_by_row(candidate, inputs), model.labels)
    verdict = tfma.load_validation_result(outputs["evaluation"][0].uri)
    assert not verdict.missing_slices
    (overall,) = verdict.metric_validations_per_slice
    assert {failure.metric_key.name for failure in overall.failures} == {
        "sparse_categorical_accuracy"
    }
    assert sorted(failure.metric_key.is_diff for failure in overall.failures) == [False, True]
    value = next(f for f in overall.failures if not f.metric_key.is_diff).metric_value
    accuracy = expected["sparse_categorical_accuracy"]
    assert accuracy < 0.9
    assert value.double_value.value == pytest.approx(accuracy)
