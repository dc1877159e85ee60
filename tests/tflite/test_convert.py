"""Conversion in a process of its own: what it makes, and what is said when it fails."""

import os
import time

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from support import models, stack
from tensorflow.lite.python import schema_py_generated as schema

from tfx_shrink.errors import ConversionError, ModelError, ProofError
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.tflite.convert import (
    BlockedError,
    ConversionOptions,
    conversion_blockers,
    convert,
)
from tfx_shrink.tflite.flatbuffer import read_model
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import read_signature_defs

FLOAT = ConversionOptions()
INT8 = ConversionOptions(optimize=True, calibrated=True)


def to_tflite(directory, name="serving_default", options=FLOAT, rows=None, time_limit=120):
    rows = rows or models.features(32)
    return convert(
        directory,
        name,
        options,
        calibration=rows if options.calibrated else {},
        proof=rows,
        time_limit=time_limit,
    )


@pytest.fixture(scope="module")
def dense(saved):
    """The signature `dense` of a model whose serving_default cannot be converted."""
    return to_tflite(saved("with_table"), "dense")


def test_file_is_called_serving_default_whatever_the_source_was_called(dense):
    interpreter = tf.lite.Interpreter(model_content=dense.content)
    assert list(interpreter.get_signature_list()) == ["serving_default"]
    # TFMA strips `serving_default_` and `:0` to find the feature.
    assert [item["name"] for item in interpreter.get_input_details()] == ["serving_default_x:0"]


def test_serving_finds_the_source_signature_under_its_own_name_too(dense):
    assert sorted(read_signature_defs(dense.content)) == ["dense", "serving_default"]


@pytest.mark.parametrize("options", [ConversionOptions(optimize=True), INT8])
def test_dense_weights_have_one_scale_so_that_older_servers_load_them(saved, options):
    content = to_tflite(saved("keras"), options=options).content
    (graph,) = read_model(content).subgraphs
    weights = [tensor for tensor in graph.tensors if tensor.type == schema.TensorType.INT8]
    found = [tensor.quantization.scale for tensor in weights]
    assert {len(scales) for scales in found} == {1}


def test_float_file_answers_as_its_source(saved, dense):
    rows = models.features(16, seed=1)
    expected = get_function(load(saved("with_table")), "dense").call(rows)["scores"]
    actual = TFLiteModel(dense.content)(rows)
    assert list(actual) == ["scores"]
    np.testing.assert_allclose(actual["scores"], expected, rtol=1e-4, atol=1e-5)
    assert dense.difference.rows == 32
    assert dense.difference.max < 1e-4


@pytest.fixture(scope="module")
def killed(saved):
    random = np.random.RandomState(0)
    rows = {
        "a_xf": random.randn(32, 1).astype(np.float32),
        "b_xf": random.randint(0, 8, [32, 1]),
    }
    with pytest.raises(BlockedError) as refusal:
        to_tflite(saved("category_encoding"), "__call__", INT8, rows)
    return refusal.value


def test_killed_converter_is_an_error_that_names_the_operation(killed):
    if stack.TFX_1_21:  # Its converter says it and lives.
        assert str(killed) == "no TFLite operation for DenseBincount"
        return
    assert "The converter was killed by SIG" in str(killed)
    assert "What blocks the float conversion: DenseBincount." in str(killed)


def test_operations_without_a_counterpart_are_named_by_conversion_and_trial(tmp_path):
    digamma = (lambda x: {"y": tf.math.digamma(x)}, {"x": models.spec()})
    directory = models.save_functions(tmp_path, serving_default=digamma)
    with pytest.raises(BlockedError, match="no TFLite operation for Digamma") as refusal:
        to_tflite(directory)
    assert "Digamma" in str(refusal.value)
    assert conversion_blockers(directory, "serving_default", time_limit=120) == ["Digamma"]


def test_converter_that_takes_too_long_is_stopped(saved):
    directory = saved("keras")
    start = time.monotonic()
    with pytest.raises(ConversionError, match=r"did not finish in 0\.5 seconds"):
        to_tflite(directory, time_limit=0.5)
    assert time.monotonic() - start < 10


def test_model_that_answers_nan_is_unproven(tmp_path):
    logarithm = (lambda x: {"y": tf.math.log(-1 - tf.abs(x))}, {"x": models.spec()})
    directory = models.save_functions(tmp_path, serving_default=logarithm)
    with pytest.raises(ProofError, match="the source itself gives NaN"):
        to_tflite(directory)


def test_unknown_function_is_refused_with_a_list_of_the_known(saved):
    with pytest.raises(ModelError, match=r"'serving_default', 'dense'.*signature_name='other'"):
        to_tflite(saved("with_table"), "other")


def test_trial_of_a_convertible_function_finds_nothing(saved):
    assert conversion_blockers(saved("keras"), "serving_default", time_limit=120) == []


def save_summing(directory, *names):
    """A call function that adds its inputs, saved as TFX's template module files do."""
    inputs = [tf_keras.Input([4], name=name) for name in names]
    model = tf_keras.Model(inputs, tf_keras.layers.add(inputs))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        return {"outputs": examples}

    # Keras's own signature cannot carry every name.
    tf.saved_model.save(model, str(directory), signatures={"serving_default": serve})
    return str(directory)


@pytest.mark.parametrize("name", ["hours-per-week_xf", "petal length (cm)"])
def test_feature_names_need_not_be_identifiers(name, tmp_path):
    rows = {key: models.features(8)["x"][:, :4] for key in (name, "b_xf")}
    converted = to_tflite(save_summing(tmp_path, name, "b_xf"), "__call__", rows=rows)
    assert converted.difference.max < 1e-5


def test_feature_may_be_called_file(tmp_path):
    rows = {key: models.features(8)["x"][:, :4] for key in ("file", "b_xf")}
    converted = to_tflite(save_summing(tmp_path, "file", "b_xf"), "__call__", rows=rows)
    assert converted.difference.max < 1e-5


def test_output_without_a_batch_dimension_is_refused_by_name(tmp_path):
    total = (lambda x: {"total": tf.reduce_sum(x)}, {"x": models.spec()})
    with pytest.raises(ModelError, match=r"total.*batch dimension"):
        to_tflite(models.save_functions(tmp_path, serving_default=total))


def test_no_temporary_files_stay(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ConversionError):
        to_tflite(saved("keras"), time_limit=0.1)
    assert os.listdir(tmp_path) == []
