"""What a TFLite file stores, by type."""

import numpy as np
import pytest
import tensorflow as tf
from support import models
from support.tflite import file_of, linear
from tensorflow.lite.tools import flatbuffer_utils

from tfx_shrink.tflite.contents import constant_bytes
from tfx_shrink.tflite.flatbuffer import read_model, write_model
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import add_signature_defs

WEIGHTS = models.WIDTH * 128


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, {"float32": WEIGHTS * 4}),
        (tf.float16, {"float16": WEIGHTS * 2}),
        (tf.int8, {"int8": WEIGHTS}),
    ],
)
def test_weights_are_counted_under_the_type_they_are_stored_in(weights, expected):
    stored = constant_bytes(file_of(*linear(), weights=weights))
    assert stored == expected


def test_buffer_that_two_tensors_share_counts_once():
    (first, inputs), (second, _) = (linear(units=models.WIDTH, seed=seed) for seed in (0, 1))
    content = file_of(lambda x: {"y": second(tf.nn.relu(first(x)["y"]))["y"]}, inputs)
    assert constant_bytes(content) == {"float32": 2 * models.WIDTH**2 * 4}

    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    one, other = (
        tensor
        for tensor in model.subgraphs[0].tensors
        if model.buffers[tensor.buffer].data is not None
    )
    other.buffer = one.buffer
    shared = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    assert constant_bytes(shared) == {"float32": models.WIDTH**2 * 4}


def test_constants_behind_the_flatbuffer_are_brought_in():
    content = file_of(*linear())
    model = read_model(content)
    largest = max(
        (buffer for buffer in model.buffers if buffer.data is not None),
        key=lambda buffer: len(buffer.data),
    )
    outside = bytes(bytearray(largest.data))
    largest.data, largest.offset, largest.size = None, 1 << 20, len(outside)
    largest.offset = len(write_model(model))
    apart = write_model(model) + outside
    assert constant_bytes(apart) == constant_bytes(content)
    x = models.features(4)
    expected = TFLiteModel(content)(x)["y"]
    again = TFLiteModel(add_signature_defs(apart, ["serving_default"]))(x)["y"]
    np.testing.assert_array_equal(again, expected)
