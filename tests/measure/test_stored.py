"""What files store, weight by weight, in both containers."""

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.errors import ModelError
from tfx_shrink.measure.stored import (
    bytes_by_type,
    overall_sparsity,
    stored_weights,
    tflite_path,
)


@pytest.fixture(scope="module")
def half_zero():
    weights = np.random.RandomState(0).randn(models.WIDTH, 128).astype(np.float32)
    weights[:8] = 0
    return weights


@pytest.fixture(scope="module")
def saved(half_zero, tmp_path_factory):
    directory = tmp_path_factory.mktemp("stored") / "model"
    module = tf.Module()
    module.kernel = tf.Variable(half_zero, name="dense/kernel")
    module.bias = tf.Variable(np.ones(128, np.float32), name="dense/bias")

    @tf.function(input_signature=[tf.TensorSpec([None, models.WIDTH], name="x")])
    def serve(x):
        return {"y": x @ module.kernel + module.bias}

    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})
    return str(directory)


def convert(saved, directory, **options):
    converter = tf.lite.TFLiteConverter.from_saved_model(saved)
    for name, value in options.items():
        setattr(converter, name, value)
    directory.mkdir()
    (directory / "model.tflite").write_bytes(converter.convert())
    return str(directory)


def test_variables_are_listed_largest_first(saved):
    kernel, bias = stored_weights(saved)
    assert (kernel.name, kernel.dtype, kernel.bytes, kernel.sparsity) == (
        "dense/kernel",
        "float32",
        models.WIDTH * 128 * 4,
        0.5,
    )
    assert (bias.name, bias.rank) == ("dense/bias", 1)


def test_biases_are_no_part_of_the_sparsity(saved):
    assert overall_sparsity(stored_weights(saved)) == 0.5


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        ({}, "float32"),
        ({"optimizations": [tf.lite.Optimize.DEFAULT]}, "int8"),
        ({"optimizations": [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]}, "float32"),
    ],
)
def test_zeros_of_a_tflite_file_are_found_in_every_form(saved, tmp_path, options, dtype):
    found = stored_weights(convert(saved, tmp_path / "tflite", **options))
    assert found[0].dtype == dtype
    assert found[0].elements == models.WIDTH * 128
    # int8 rounds some small weights to zero, too.
    assert 0.5 <= overall_sparsity(found) < 0.52
    assert bytes_by_type(found)[dtype] >= found[0].bytes


def test_a_tflite_file_is_found_under_any_name_but_not_beside_a_saved_model(saved, tmp_path):
    (tmp_path / "other.tflite").write_bytes(b"")
    assert tflite_path(str(tmp_path)) == str(tmp_path / "other.tflite")
    assert tflite_path(saved) is None
    assert tflite_path(str(tmp_path / "none")) is None


def test_no_model_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="holds no SavedModel"):
        stored_weights(str(tmp_path))
