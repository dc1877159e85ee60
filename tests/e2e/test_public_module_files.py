"""The module files that TFX itself ships, unchanged, through Quantizer, Evaluator, BucketPusher."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
import tfx as tfx_package
from support import pipelines
from tfx import v1 as tfx
from tfx.experimental.templates.penguin.models import features as penguin_features
from tfx.experimental.templates.taxi.models import features as taxi_features

from tfx_shrink.errors import ModelError
from tfx_shrink.lineage import read
from tfx_shrink.pipelines.compression import create_pipeline
from tfx_shrink.pipelines.verdict import read_verdict
from tfx_shrink.tflite.interpreter import TFLiteModel

TEMPLATES = "tfx.experimental.templates"


def write_penguins(directory, rows=600):
    """Three species, apart in every measure, as the real ones are."""
    random = np.random.RandomState(0)
    species = random.randint(0, 3, rows)
    centres = np.array([[39, 18, 190, 3700], [49, 18, 196, 3730], [47, 15, 217, 5080]])
    values = centres[species] + random.randn(rows, 4) * [2.5, 1, 6, 400]
    os.makedirs(directory)
    with open(os.path.join(directory, "penguins.csv"), "w") as file:
        file.write(",".join([penguin_features.LABEL_KEY, *penguin_features.FEATURE_KEYS]) + "\n")
        for label, row in zip(species, values, strict=True):
            file.write(",".join([str(label), *(f"{value:.2f}" for value in row)]) + "\n")


def eval_config(label_key, metric, lower_bound, max_drop=0.02, **spec):
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": lower_bound}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_drop}
        ),
    )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                label_key=label_key,
                preprocessing_function_names=["transform_features"],
            )
        ],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name=metric, threshold=threshold)])
        ],
        **spec,
    )


def template_pipeline(root, template, model_module, *, steps, **stages):
    return create_pipeline(
        template,
        os.path.join(root, "artifacts"),
        example_gen=tfx.components.CsvExampleGen(input_base=os.path.join(root, "data")),
        transform={
            "preprocessing_fn": f"{TEMPLATES}.{template}.models.preprocessing.preprocessing_fn"
        },
        trainer={
            "run_fn": f"{TEMPLATES}.{template}.models.{model_module}.run_fn",
            "train_args": tfx.proto.TrainArgs(num_steps=steps),
            "eval_args": tfx.proto.EvalArgs(num_steps=5),
        },
        metadata_connection_config=pipelines.connection(root),
        **{"quantizer": {"scheme": "int8"}, **stages},
    )


@pytest.mark.slow
def test_penguin_template_is_pruned_quantized_judged_on_raw_rows_and_published(tmp_path):
    root = str(tmp_path)
    write_penguins(os.path.join(root, "data"))
    slices = [
        tfma.SlicingSpec(),
        tfma.SlicingSpec(feature_keys=[penguin_features.LABEL_KEY]),
    ]
    config = eval_config(
        penguin_features.LABEL_KEY,
        "SparseCategoricalAccuracy",
        0.9,
        max_drop=0.03,  # One of a slice's 38 rows.
        slicing_specs=slices,
    )
    outputs = pipelines.run(
        template_pipeline(
            root,
            "penguin",
            "model",
            steps=100,
            pruner={"target_sparsity": 0.5, "label_key": penguin_features.LABEL_KEY, "epochs": 2},
            evaluator={"eval_config": config},
            pusher={"push_destination": os.path.join(root, "bucket"), "model_name": "penguin"},
        )
    )
    trained = os.path.join(outputs["Trainer"]["model"][0].uri, "Format-Serving")
    assert sorted(tf.saved_model.load(trained).signatures) == [
        "serving_default",
        "transform_features",
    ]

    verdict = read_verdict(outputs)
    assert verdict.pushed, verdict.reason
    version = os.path.join(root, "bucket", "penguin", "1")
    assert sorted(os.listdir(version)) == ["assets.extra", "model.tflite"]
    pruned, quantized = read(version)
    assert pruned["method"] == "fine_tune"
    assert pruned["training"]["path"] == "keras"  # With a TransformFeaturesLayer attached.
    assert min(pruned["sparsity"]["by_weight"].values()) >= 0.45
    assert quantized["source_signature"] == "__call__"
    assert quantized["output_difference"]["rows"] > 50
    with open(os.path.join(version, "model.tflite"), "rb") as file:
        model = TFLiteModel(file.read())
    assert sorted(model.inputs) == sorted(
        penguin_features.transformed_name(key) for key in penguin_features.FEATURE_KEYS
    )

    result = tfma.load_eval_result(
        outputs["Evaluator"]["evaluation"][0].uri, model_name="candidate"
    )
    assert len(result.slicing_metrics) == 1 + 3


@pytest.fixture
def taxi(tmp_path):
    """A root with the rows that TFX ships for its taxi template."""
    root = str(tmp_path)
    os.makedirs(os.path.join(root, "data"))
    shutil.copy(
        os.path.join(
            os.path.dirname(tfx_package.__file__),
            "examples/chicago_taxi_pipeline/data/simple/data.csv",
        ),
        os.path.join(root, "data"),
    )
    return root


@pytest.mark.matrix
@pytest.mark.slow
def test_taxi_template_is_pruned_and_published_with_every_signature(taxi):
    outputs = pipelines.run(
        template_pipeline(
            taxi,
            "taxi",
            "keras_model.model",
            steps=20,
            pruner={
                "target_sparsity": 0.5,
                "label_key": taxi_features.transformed_name(taxi_features.LABEL_KEY),
                "train_args": tfx.proto.TrainArgs(num_steps=20),
                "method": "fine_tune",
            },
            quantizer=None,
            pusher={"push_destination": os.path.join(taxi, "bucket"), "model_name": "taxi"},
        )
    )
    version = os.path.join(taxi, "bucket", "taxi", "1")
    (pruned,) = read(version)
    assert pruned["training"]["path"] == "call_function"
    assert pruned["sparsity"]["overall"] == pytest.approx(0.5, abs=0.01)
    trained = os.path.join(outputs["Trainer"]["model"][0].uri, "Format-Serving")
    kept = tf.saved_model.load(version).signatures
    assert sorted(kept) == sorted(tf.saved_model.load(trained).signatures)


@pytest.mark.slow
def test_taxi_template_teaches_a_student_that_is_blessed_beside_it_on_raw_rows(taxi):
    label = taxi_features.transformed_name(taxi_features.LABEL_KEY)
    outputs = pipelines.run(
        template_pipeline(
            taxi,
            "taxi",
            "keras_model.model",
            steps=100,
            distiller={"module_path": "support.taxi_student", "label_key": label, "epochs": 3},
            quantizer=None,
            evaluator={"eval_config": eval_config(label, "BinaryAccuracy", 0.6)},
            pusher={"push_destination": os.path.join(taxi, "bucket"), "model_name": "taxi"},
        )
    )
    verdict = read_verdict(outputs)
    assert verdict.pushed, verdict.reason
    version = os.path.join(taxi, "bucket", "taxi", "1")
    (distilled,) = read(version)
    assert distilled["teacher_function"] == "__call__"
    assert distilled["output"] == {"task": "binary", "probabilities": True, "logarithms": False}
    assert distilled["signatures_not_compared"] == {}
    student, teacher = (
        tf.saved_model.load(path).signatures
        for path in (
            version,
            os.path.join(outputs["Trainer"]["model"][0].uri, "Format-Serving"),
        )
    )
    assert sorted(student) == sorted(teacher)
    for name, signature in student.items():
        assert signature.structured_outputs.keys() == teacher[name].structured_outputs.keys()


@pytest.mark.slow
def test_taxi_template_is_refused_naming_the_operation_of_its_category_encoding(taxi):
    root = taxi
    pipeline = template_pipeline(
        root,
        "taxi",
        "keras_model.model",
        steps=20,
        pusher={"push_destination": os.path.join(root, "bucket"), "model_name": "taxi"},
    )
    with pytest.raises(ModelError, match=r"__call__.*DenseBincount") as refusal:
        pipelines.run(pipeline)
    assert "serving_default: ParseExample" in str(refusal.value)
    assert not os.path.exists(os.path.join(root, "bucket"))
