"""The schemes of the extra [edge]: 4-bit weights, and recipes that mix."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows, stack

from tfx_shrink.errors import ModelError, ParameterError, ProofError
from tfx_shrink.lineage import model_state, read
from tfx_shrink.quantizer import edge
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.settings import Search, Settings, check_settings
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.tflite import convert
from tfx_shrink.tflite.contents import constant_bytes
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import read_signature_defs

FIRST, SECOND, THIRD = models.WIDTH * 128, 128 * 64, 64 * models.CLASSES


def entry(bits, regex=".*", operation="FULLY_CONNECTED", activations=None):
    """One entry of a recipe; `activations` are a number of bits."""
    weights = {"num_bits": bits, "symmetric": True, "granularity": "CHANNELWISE", "dtype": "INT"}
    config = {"weight_tensor_config": weights, "compute_precision": "INTEGER"}
    if activations:
        config["activation_tensor_config"] = {
            "num_bits": activations,
            "symmetric": activations == 16,
        }
    return {
        "regex": regex,
        "operation": operation,
        "algorithm_key": "min_max_uniform_quantize",
        "op_config": {**config, "explicit_dequantize": False},
    }


MIXED = [entry(8), entry(4, "/dense_1/")]


@pytest.fixture(scope="module")
def float_files():
    """What the real conversions to float32 returned, by model."""
    return {}


@pytest.fixture
def made(saved, dense_rows, tmp_path, float_files, monkeypatch):
    """Quantizes the Keras model; (directory, Quantized, content of the file)."""

    def convert_once(model_dir, *args, **parameters):
        if model_dir not in float_files:
            float_files[model_dir] = convert.convert(model_dir, *args, **parameters)
        return float_files[model_dir]

    monkeypatch.setattr(edge, "convert", convert_once)

    def make(scheme, recipe=None, **parameters):
        out = str(tmp_path / scheme)
        done = quantize(
            **{"model_dir": saved("keras"), "examples": [dense_rows], **parameters},
            out_dir=out,
            scheme=scheme,
            num_calibration_examples=80,
            edge_recipe=None if recipe is None else json.dumps(recipe),
        )
        with open(os.path.join(out, "model.tflite"), "rb") as file:
            return out, done, file.read()

    return make


@pytest.fixture(scope="module")
def convolution(tmp_path_factory):
    """A model of one convolution and one dense layer, and its rows."""
    tmp_path = tmp_path_factory.mktemp("convolution")
    random = np.random.RandomState(0)
    kernel = random.randn(3, 3, 8, 32).astype(np.float32) / 9
    dense = random.randn(8 * 8 * 32, 4).astype(np.float32) / 45

    def call(x):
        hidden = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
        return {"y": tf.reshape(hidden, [-1, 8 * 8 * 32]) @ dense}

    directory = models.save_functions(
        tmp_path / "model", serving_default=(call, {"x": models.spec([None, 8, 8, 8])})
    )
    x = random.randn(40, 8, 8, 8).astype(np.float32)
    return {"model_dir": directory, "examples": [rows.write(tmp_path / "images", {"x": x})]}


def assert_refused(made, tmp_path, kind, words, *args, **parameters):
    with pytest.raises(kind, match=words):
        made(*args, **parameters)
    assert not os.path.exists(tmp_path / args[0])


def test_int4_halves_int8_and_runs_on_rows_never_seen(made, quantized, saved):
    directory, done, content = made("int4")
    _, int8 = quantized("dynamic_range")
    assert constant_bytes(content) == {
        "int4": (FIRST + SECOND + THIRD) // 2,
        "float32": 4 * (128 + 64 + models.CLASSES),
    }
    assert done.result.bytes < 0.8 * int8.result.bytes  # The fixed part of a file is 5 KB.
    assert 0 < done.difference.p99 <= done.difference.max < 0.2

    unseen = models.features(50, seed=99)
    actual = TFLiteModel(content)(unseen)["probabilities"]
    expected = get_function(load(saved("keras")), "serving_default").call(unseen)
    assert 0 < np.abs(actual - expected["probabilities"]).max() < 0.2

    assert list(read_signature_defs(content)) == ["serving_default"]
    (step,) = read(directory)
    assert step["technique"] == "quantize"
    assert step["parameters"]["scheme"] == "int4"
    assert step["container"] == "tflite"
    assert step["source_signature"] == step["evaluated_signature"] == "serving_default"
    assert step["calibration_rows"] == 0
    assert step["output_difference"]["rows"] == 20
    assert step["source"]["digest"] == model_state(saved("keras")).digest
    assert step["result"]["bytes"] == done.result.bytes


def test_int4_leaves_8_bits_to_convolutions(made, convolution):
    _, done, content = made("int4", **convolution)
    stored = constant_bytes(content)
    assert stored["int8"] == 3 * 3 * 8 * 32
    assert stored["int4"] == 8 * 8 * 32 * 4 / 2
    assert done.difference.max < 0.5


def test_a_mixed_recipe_is_followed_layer_by_layer(made):
    directory, done, content = made("edge_recipe", MIXED)
    stored = constant_bytes(content)
    assert stored["int4"] == SECOND // 2
    assert stored["int8"] == FIRST + THIRD
    assert 0 < done.difference.max < 0.2
    (step,) = read(directory)
    assert json.loads(step["parameters"]["edge_recipe"]) == MIXED
    assert step["calibration_rows"] == 0


def test_a_recipe_with_activations_is_calibrated_and_its_inputs_are_served_as_stored(made):
    directory, done, content = made("edge_recipe", [entry(8, operation="*", activations=8)])
    (step,) = read(directory)
    assert step["calibration_rows"] == 80
    assert 0 < done.difference.max < 0.1
    (signature,) = read_signature_defs(content).values()
    assert signature.inputs["x"].dtype == tf.int8.as_datatype_enum


def test_entry_that_matches_no_layer_is_refused_with_the_names_of_layers(made, tmp_path):
    assert_refused(
        made,
        tmp_path,
        ProofError,
        r"asks for int4 weights, and ai-edge-quantizer stored none: .*'int8'.*model/dense_1/MatMul",
        "edge_recipe",
        [entry(8), entry(4, "no_such_layer")],
    )


CONVOLUTION = [entry(4, operation="CONV_2D", activations=16)]
WEIGHT_ONLY = [entry(4)]
WEIGHT_ONLY[0]["op_config"] |= {"compute_precision": "FLOAT", "explicit_dequantize": True}


def test_convolutions_of_4_bits_are_served_where_tensorflow_computes_them_right(
    made, tmp_path, convolution
):
    if not stack.TFX_1_21:  # TensorFlow 2.16 runs them wrongly, without a word.
        words = r"two runtimes differ by .*ai-edge-litert.*TensorFlow 2\.16"
        assert_refused(made, tmp_path, ProofError, words, "edge_recipe", CONVOLUTION, **convolution)
        return
    _, done, content = made("edge_recipe", CONVOLUTION, **convolution)
    assert constant_bytes(content)["int4"] == 3 * 3 * 8 * 32 / 2
    assert 0 < done.difference.max < 0.5


def test_weights_that_are_widened_in_the_file_are_served_where_tensorflow_loads_them(
    made, tmp_path
):
    if not stack.TFX_1_21:
        words = r"(?s)does not run: .*dequantize.*ai-edge-litert.*TensorFlow 2\.16"
        assert_refused(made, tmp_path, ProofError, words, "edge_recipe", WEIGHT_ONLY)
        return
    _, done, content = made("edge_recipe", WEIGHT_ONLY)
    assert constant_bytes(content)["int4"] == (FIRST + SECOND + THIRD) // 2
    assert 0 < done.difference.max < 0.2


@pytest.mark.parametrize(
    "recipe",
    [
        "[",
        "{}",
        "[]",
        "[1]",
        json.dumps([{"regex": ".*"}]),
        json.dumps([entry(8, regex="(")]),
        json.dumps([{**entry(8), "operation": 3}]),
    ],
)
def test_what_is_no_recipe_is_refused_when_a_pipeline_is_written(recipe):
    with pytest.raises(
        ParameterError, match=r"`edge_recipe` must be JSON: .*Received: edge_recipe"
    ):
        check_settings("edge_recipe", Settings(edge_recipe=recipe), None)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (entry(8, operation="FULLY_CONECTED"), "FULLY_CONECTED"),
        ({**entry(8), "algorithm_key": "best"}, "Unsupported algorithm key: best"),
        ({**entry(8), "op_config": {}}, "weight_tensor_config"),
        (entry(5), "ai-edge-quantizer takes"),
    ],
)
def test_what_the_library_does_not_take_is_refused_before_rows_are_drawn(
    made, tmp_path, recipe, words
):
    nowhere = {"examples": ["nowhere/*"]}
    assert_refused(made, tmp_path, ParameterError, words, "edge_recipe", [recipe], **nowhere)


def test_recipe_and_its_scheme_belong_together():
    with pytest.raises(ParameterError, match="needs `edge_recipe`"):
        check_settings("edge_recipe", Settings(), None)
    given = Settings(edge_recipe=json.dumps(MIXED))
    with pytest.raises(ParameterError, match=r"belongs to scheme='edge_recipe'.*scheme='int4'"):
        check_settings("int4", given, None)
    search = {"label_key": "label", "max_drop": 0.1}
    with pytest.raises(ParameterError, match="belongs to scheme='edge_recipe'"):
        check_settings("auto", given, Search(**search))
    check_settings("auto", given, Search(**search, ladder=["edge_recipe", "int4"]))
    check_settings("auto", given, None)  # As a component whose scheme is a runtime parameter.


def test_component_takes_entries_or_json():
    from tfx.types import channel_utils, standard_artifacts

    from tfx_shrink.quantizer.component import Quantizer

    for recipe in (MIXED, json.dumps(MIXED)):
        made = Quantizer(
            base_model=channel_utils.as_channel([standard_artifacts.Model()]),
            examples=channel_utils.as_channel([standard_artifacts.Examples()]),
            scheme="edge_recipe",
            edge_recipe=recipe,
        )
        assert json.loads(made.exec_properties["edge_recipe"]) == MIXED


def test_command_reads_a_recipe_from_a_file(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from tfx_shrink import cli
    from tfx_shrink.quantizer import quantize as module

    given = {}

    def record(*args, **parameters):
        given.update(parameters)
        raise ModelError("enough")

    monkeypatch.setattr(module, "quantize", record)
    (tmp_path / "recipe.json").write_text(json.dumps(MIXED))
    options = ["--scheme", "edge_recipe", "--examples", "x"]
    CliRunner().invoke(
        cli.main, ["quantize", "m", "o", *options, "--edge-recipe", str(tmp_path / "recipe.json")]
    )
    assert json.loads(given["edge_recipe"]) == MIXED


@pytest.mark.parametrize(("scheme", "recipe"), [("int4", None), ("edge_recipe", MIXED)])
def test_missing_package_is_named_before_rows_are_drawn(
    made, tmp_path, monkeypatch, scheme, recipe
):
    monkeypatch.setitem(sys.modules, "ai_edge_quantizer", None)
    words = r"pip install 'tfx-shrink\[edge\]'"
    nowhere = {"examples": ["nowhere/*"]}
    assert_refused(made, tmp_path, ModelError, words, scheme, recipe, **nowhere)


def test_everything_else_works_without_the_package():
    code = (
        "import sys; sys.modules['ai_edge_quantizer'] = sys.modules['ai_edge_litert'] = None\n"
        "import tfx_shrink.quantizer.quantize"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_check_passes_where_it_is_installed():
    edge.check_edge()


@pytest.mark.parametrize(
    ("work", "limit", "words"),
    [
        ("os.kill(os.getpid(), 9)", 600, "ai-edge-quantizer was killed by SIGKILL"),
        ("sys.exit('out of luck')", 600, "(?s)ai-edge-quantizer ended with .*out of luck"),
        ("time.sleep(60)", 1, "ai-edge-quantizer did not finish in 1 seconds"),
    ],
    ids=["killed", "failed", "too long"],
)
def test_child_that_ends_badly_is_an_error_message(made, tmp_path, monkeypatch, work, limit, words):
    (tmp_path / "bad_child.py").write_text(f"import os, sys, time\n{work}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run_worker = edge.run_worker

    def run_bad_child(module, *args, **parameters):
        return run_worker("bad_child", *args, **{**parameters, "time_limit": limit})

    # Only the second child is bad: the conversion to float32 runs as ever.
    monkeypatch.setattr(edge, "run_worker", run_bad_child)
    started = time.monotonic()
    assert_refused(made, tmp_path, ModelError, words, "int4")
    assert time.monotonic() - started < 60
