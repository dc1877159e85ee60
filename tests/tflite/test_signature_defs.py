"""The signatures that TensorFlow Serving reads in a TFLite file."""

import numpy as np
import pytest
import tensorflow as tf
from support import models
from support.tflite import file_of, linear
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from tfx_shrink.errors import ModelError
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import add_signature_defs, read_signature_defs

NAMES = ["serving_default", "dense"]


@pytest.fixture(scope="module")
def plain():
    return file_of(*linear())


@pytest.fixture(scope="module")
def labelled(plain):
    return add_signature_defs(plain, NAMES)


def test_converter_writes_none_of_its_own(plain):
    assert read_signature_defs(plain) == {}


def test_signature_is_listed_under_every_name(labelled):
    found = read_signature_defs(labelled)
    assert sorted(found) == sorted(NAMES)
    assert found["serving_default"] == found["dense"]
    assert found["dense"].method_name == "tensorflow/serving/predict"


def test_signature_names_the_files_own_tensors(labelled):
    signature = read_signature_defs(labelled)["serving_default"]
    details = {
        item["name"]: item
        for get in ("get_input_details", "get_output_details")
        for item in getattr(tf.lite.Interpreter(model_content=labelled), get)()
    }
    for infos, key, width in ((signature.inputs, "x", 16), (signature.outputs, "y", 128)):
        assert list(infos) == [key]
        info = infos[key]
        assert info.name in details
        assert info.dtype == tf.float32.as_datatype_enum
        assert [dim.size for dim in info.tensor_shape.dim] == [-1, width]


def test_types_of_integer_tensors_are_told():
    content = file_of(
        lambda count, flag: {"sum": count + 1, "not": tf.logical_not(flag)},
        {"count": models.spec([None, 2], tf.int64), "flag": models.spec([None, 2], tf.bool)},
    )
    signature = read_signature_defs(add_signature_defs(content, ["a"]))["a"]
    types = {key: tf.as_dtype(info.dtype) for key, info in signature.inputs.items()}
    assert types == {"count": tf.int64, "flag": tf.bool}


def test_no_serialized_signature_holds_a_zero_byte(labelled):
    # TensorFlow Serving reads it as a C string.
    for signature in read_signature_defs(labelled).values():
        assert b"\0" not in signature.SerializeToString(deterministic=True)


def test_bytes_are_laid_out_as_serving_reads_them(labelled):
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(labelled))
    (entry,) = [item for item in model.metadata if item.name == b"signature_defs_metadata"]
    blob = bytes(bytearray(model.buffers[entry.buffer].data))
    for name in NAMES:
        assert name.encode() + b"\0" in blob
    serialized = read_signature_defs(labelled)["dense"].SerializeToString(deterministic=True)
    # A flexbuffer string ends with a zero byte of its own.
    assert serialized + b"\0" in blob


def test_inference_does_not_change(plain, labelled):
    rows = models.features(7)
    np.testing.assert_array_equal(TFLiteModel(plain)(rows)["y"], TFLiteModel(labelled)(rows)["y"])


def test_only_the_metadata_is_added(plain, labelled):
    before, after = (
        flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
        for content in (plain, labelled)
    )
    assert len(after.buffers) == len(before.buffers) + 1
    assert len(after.metadata) == len(before.metadata or []) + 1
    assert len(labelled) - len(plain) < 1000


def test_scalar_output_is_told_without_a_zero_byte():
    scalar = file_of(lambda x: {"y": tf.reduce_sum(x)}, {"x": models.spec()})
    signature = read_signature_defs(add_signature_defs(scalar, NAMES))["dense"]
    assert not signature.outputs["y"].tensor_shape.dim
    assert b"\0" not in signature.SerializeToString(deterministic=True)


def test_signature_that_would_hold_a_zero_byte_is_refused(plain):
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(plain))
    (graph,) = model.subgraphs
    # An empty protocol buffer message, as a dimension of size 0 is, has the length 0.
    graph.tensors[graph.outputs[0]].shapeSignature = np.array([-1, 0], np.int32)
    with pytest.raises(ModelError, match="holds one"):
        add_signature_defs(bytes(flatbuffer_utils.convert_object_to_bytearray(model)), NAMES)


def test_type_that_serving_cannot_carry_is_refused_by_name(plain):
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(plain))
    (graph,) = model.subgraphs
    graph.tensors[graph.outputs[0]].type = schema.TensorType.FLOAT64
    content = bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    with pytest.raises(ModelError, match="cannot carry the type of b'y'"):
        add_signature_defs(content, NAMES)
