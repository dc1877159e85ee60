"""What the schemes of TensorFlow's converter make of one Keras model."""

import json
import os

import numpy as np
import pytest
from support import models

from tfx_shrink.lineage import model_state, read
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.tflite.contents import constant_bytes
from tfx_shrink.tflite.interpreter import TFLiteModel

LARGE = models.WIDTH * 128 + 128 * 64  # Weights in matrices of at least 1,024.
ALL = LARGE + 128 + 64 + 65 * models.CLASSES
TOLERANCE = {"float32": 1e-6, "float16": 2e-3, "dynamic_range": 0.02, "int8": 0.1}
SCHEMES = list(TOLERANCE)


def content_of(directory):
    with open(os.path.join(directory, "tflite"), "rb") as file:
        return file.read()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_directory_holds_one_file_under_two_names_and_the_record(quantized, scheme):
    directory, _ = quantized(scheme)
    assert sorted(os.listdir(directory)) == ["assets.extra", "model.tflite", "tflite"]
    assert os.listdir(os.path.join(directory, "assets.extra")) == ["compression.json"]
    with open(os.path.join(directory, "model.tflite"), "rb") as file:
        assert file.read() == content_of(directory)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_record_tells_what_was_done(quantized, saved, scheme):
    directory, done = quantized(scheme)
    (step,) = read(directory)
    assert step["technique"] == "quantize"
    asked = {"scheme": scheme, "signature_name": None, "num_calibration_examples": 80, "seed": 1}
    assert asked.items() <= step["parameters"].items()
    assert step["source_signature"] == done.source_signature == "serving_default"
    assert step["calibration_rows"] == (80 if scheme == "int8" else 0)
    assert step["output_difference"] == {
        "max": done.difference.max,
        "p99": done.difference.p99,
        "rows": 20,
    }
    for key, state, where in (
        ("source", done.source, saved("keras")),
        ("result", done.result, directory),
    ):
        assert state == model_state(where)
        assert step[key] == {"digest": state.digest, "bytes": state.bytes}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_hardly_move_on_rows_never_seen(quantized, saved, scheme):
    directory, done = quantized(scheme)
    assert 0 <= done.difference.p99 <= done.difference.max < TOLERANCE[scheme]
    unseen = models.features(50, seed=99)
    actual = TFLiteModel(content_of(directory))(unseen)["probabilities"]
    expected = get_function(load(saved("keras")), "serving_default").call(unseen)
    assert np.abs(actual - expected["probabilities"]).max() < TOLERANCE[scheme]


def test_weights_are_stored_as_the_scheme_says(quantized):
    stored = {scheme: constant_bytes(content_of(quantized(scheme)[0])) for scheme in SCHEMES}
    assert stored["float32"] == {"float32": 4 * ALL}
    assert stored["dynamic_range"] == {"int8": LARGE, "float32": 4 * (ALL - LARGE)}
    assert stored["float16"] == {"float16": 2 * ALL}
    biases = 128 + 64 + models.CLASSES
    assert stored["int8"] == {"int8": ALL - biases, "int32": 4 * biases}


def test_bytes_fall_in_the_order_of_the_bits(quantized):
    size = {scheme: quantized(scheme)[1].result.bytes for scheme in SCHEMES}
    assert size["int8"] < 0.4 * size["float32"]
    assert size["dynamic_range"] < 0.4 * size["float32"]
    assert 0.4 * size["float32"] < size["float16"] < 0.6 * size["float32"]
    assert size["float32"] < quantized("float32")[1].source.bytes


def test_same_seed_gives_the_same_bytes_and_another_does_not(
    quantized, saved, dense_rows, tmp_path
):
    first, _ = quantized("int8")
    digests = [
        quantize(
            saved("keras"),
            str(tmp_path / str(seed)),
            scheme="int8",
            examples=[dense_rows],
            num_calibration_examples=80,
            seed=seed,
        ).result.digest
        for seed in (1, 2)
    ]
    assert digests[0] == model_state(first).digest
    assert digests[1] != digests[0]


def test_record_names_no_directory_of_the_machine_that_made_it(quantized, saved):
    directory, _ = quantized("int8")
    assert os.path.dirname(saved("keras")) not in json.dumps(read(directory))
