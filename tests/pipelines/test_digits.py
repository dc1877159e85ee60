"""The main job, whole: real digits through TFX's own runners."""

import dataclasses
import json
import os

import pytest
import tensorflow as tf
from support import pipelines, weights

from tfx_shrink import lineage
from tfx_shrink.pipelines.digits.data import LABEL, write_csv
from tfx_shrink.pipelines.digits.pipeline import NAME, create_digits_pipeline, metadata_connection
from tfx_shrink.pipelines.digits.run import run_digits
from tfx_shrink.tfx_seam.runs import latest_run_outputs

pytestmark = pytest.mark.slow


def versions(root):
    return sorted(os.listdir(os.path.join(root, "bucket", "digits")))


# TFX does not cache behind a condition, so these runs leave out what trains.
# Their models are larger than what the validator of the whole chain asks for.
QUANTIZED = {"distiller": None, "pruner": None, "efficiency_validator": None}


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def first(root, lines):
    return run_digits(root, say=lines.append)


def test_main_job_publishes_a_student_sixty_times_smaller_and_as_good_as_its_teacher(first, root):
    assert first.verdict.pushed, first.verdict.reason
    assert first.verdict.destination == f"file://{root}/bucket/digits/1"
    teacher, student, pruned, int8 = first.models
    assert [model.name for model in first.models] == ["teacher", "student", "pruned", "int8 TFLite"]
    assert teacher.gzip / int8.gzip >= 60
    assert teacher.gzip > student.gzip > pruned.gzip > int8.gzip
    assert teacher.accuracy.value > 0.95
    assert teacher.accuracy.value - int8.accuracy.value <= 0.01
    published = os.path.join(root, "bucket", "digits", "1")
    techniques = [step["technique"] for step in lineage.read(published)]
    assert techniques == ["distill", "prune", "quantize"]
    step = lineage.read(published)[0]
    assert step["parameters_of"]["student"] <= step["parameters_of"]["teacher"] / 20


def test_the_report_shows_every_stage_of_the_run(first):
    with open(first.verdict.report) as file:
        assert file.read().startswith("<!DOCTYPE html>")
    with open(os.path.join(os.path.dirname(first.verdict.report), "report.json")) as file:
        facts = json.load(file)
    names = [stage["name"] for stage in facts["stages"]]
    assert names == ["baseline", "distilled", "pruned", "model"]
    assert facts["blessed"], facts["checks"]
    assert facts["notes"] == []
    assert all(stage["quality"] and stage["timings"] for stage in facts["stages"])
    assert {metric["metric"] for metric in facts["evaluation"]} >= {"example_count"}


def test_published_file_loads_in_a_plain_interpreter(first, root):
    path = os.path.join(root, "bucket", "digits", "1", "model.tflite")
    interpreter = tf.lite.Interpreter(path)
    interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    assert image["name"] == "serving_default_image:0"


def test_a_second_run_is_cached_and_publishes_nothing_new(first, root):
    before = os.stat(write_csv(os.path.join(root, "data"))).st_mtime_ns
    again = run_digits(root, runner="local", say=lambda line: None)
    assert again.verdict == dataclasses.replace(first.verdict, earlier=True)
    assert again.verdict.summary.startswith("nothing new, published by an earlier run: file://")
    assert versions(root) == ["1"]
    assert os.stat(write_csv(os.path.join(root, "data"))).st_mtime_ns == before
    outputs = latest_run_outputs(metadata_connection(root), NAME)
    assert {"Trainer", "Distiller", "Quantizer", "Evaluator", "BucketPusher"} <= outputs.keys()


def test_an_unblessed_model_is_not_published_and_the_reason_names_the_threshold(first, root):
    refused = run_digits(root, min_accuracy=1.01, efficiency_validator=None, say=lambda line: None)
    assert not refused.verdict.pushed
    assert "sparse_categorical_accuracy was 0.9" in refused.verdict.reason
    assert "required at least 1.01" in refused.verdict.reason
    assert versions(root) == ["1"]


def test_float_gate_compares_with_the_last_blessed_float_model(first, root):
    run_digits(root, evaluate_float=True, say=lambda line: None, **QUANTIZED)
    gated = run_digits(
        root, evaluate_float=True, runner="local", say=lambda line: None, **QUANTIZED
    )
    assert [model.name for model in gated.models] == ["float", "int8 TFLite"]
    assert gated.verdict.pushed, gated.verdict.reason
    outputs = latest_run_outputs(metadata_connection(root), NAME)
    (blessing,) = outputs["FloatEvaluator"]["blessing"]
    (trained,) = outputs["Trainer"]["model"]
    # The Quantizer's model is blessed too, and newer.
    assert blessing.get_int_custom_property("baseline_model_id") == trained.id


def test_float_gate_that_does_not_bless_stops_before_compressing(first, root):
    published = versions(root)
    stopped = run_digits(root, evaluate_float=True, min_accuracy=1.01, say=lambda line: None)
    assert "FloatEvaluator did not bless" in stopped.verdict.reason
    assert stopped.models == []
    assert versions(root) == published


@pytest.mark.parametrize(
    ("pattern", "kernel"),
    [
        ("unstructured", (1024, 128)),
        pytest.param("channel", (512, 64), marks=pytest.mark.matrix),
    ],
)
def test_a_pruned_and_quantized_model_is_blessed_beside_its_float_parent_and_published(
    first, root, pattern, kernel
):
    before = versions(root)
    pruner = {"target_sparsity": 0.5, "pattern": pattern, "label_key": LABEL, "epochs": 3}
    pipeline = create_digits_pipeline(
        root, f"file://{root}/bucket", max_drop=0.02, **{**QUANTIZED, "pruner": pruner}
    )
    outputs = pipelines.run(pipeline)
    (pruned,) = outputs["Pruner"]["model"]
    serving = os.path.join(pruned.uri, "Format-Serving")
    found = weights.read(serving)
    shapes = [array.shape for array in found.values()]
    assert kernel in shapes
    if pattern == "unstructured":
        (dense,) = (array for array in found.values() if array.shape == kernel)
        assert weights.sparsity(dense) == pytest.approx(0.5, abs=0.01)
    assert pruned.get_string_custom_property("compression_method") == "fine_tune"
    weights.load_keras(serving)
    assert len(versions(root)) == len(before) + 1
    published = os.path.join(root, "bucket", "digits", versions(root)[-1])
    assert [step["technique"] for step in lineage.read(published)] == ["prune", "quantize"]
