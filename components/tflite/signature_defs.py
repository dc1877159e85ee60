"""The signatures of a TFLite file as TensorFlow Serving reads them.

TensorFlow Serving's TFLite mode ignores the signatures that TensorFlow's converter writes. It
reads the metadata entry `signature_defs_metadata`, a flexbuffer map from signature name to a
serialized SignatureDef (tensorflow/lite/tools/signature/signature_def_util.cc; the writer is not
part of the Python package). Without it every tensor is served under a made-up name.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from flatbuffers import flexbuffers
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.lite.python import schema_py_generated as schema

from tfx_shrink.errors import ModelError
from tfx_shrink.tflite.flatbuffer import read_model, write_model

_METADATA_NAME = "signature_defs_metadata"
_METHOD_NAME = "tensorflow/serving/predict"

_TYPES = {
    schema.TensorType.FLOAT32: types_pb2.DT_FLOAT,
    schema.TensorType.INT8: types_pb2.DT_INT8,
    schema.TensorType.UINT8: types_pb2.DT_UINT8,
    schema.TensorType.INT16: types_pb2.DT_INT16,
    schema.TensorType.INT32: types_pb2.DT_INT32,
    schema.TensorType.INT64: types_pb2.DT_INT64,
    schema.TensorType.BOOL: types_pb2.DT_BOOL,
    schema.TensorType.STRING: types_pb2.DT_STRING,
}


def add_signature_defs(content: bytes, names: Sequence[str]) -> bytes:
    """Lists the file's one signature, as TensorFlow Serving reads it, under each of `names`.

    Args:
      content: A TFLite file with exactly one signature.
      names: What a client may call it, such as `["serving_default", "dense"]`.

    Returns:
      The file with the metadata added, or in the place of what it had; nothing else changes.

    Raises:
      ModelError: An input or output has a type that TensorFlow Serving's TFLite mode cannot carry.
    """
    model = read_model(content)
    signature = _signature_def(model)
    serialized = signature.SerializeToString(deterministic=True)
    if b"\0" in serialized:
        raise ModelError(
            "TensorFlow Serving reads a TFLite signature up to its first zero byte, and this one "
            f"holds one: {signature}. Give no input or output a dimension of size 0."
        )
    builder = flexbuffers.Builder()
    with builder.Map():
        for name in sorted(set(names)):
            builder.Key(name)
            # Protocol buffers are bytes, and the public String() takes text only.
            builder._WriteBlob(serialized, append_zero=True, type_=flexbuffers.Type.STRING)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(bytes(builder.Finish()), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = _METADATA_NAME, len(model.buffers) - 1
    others = [known for known in model.metadata or [] if known.name != _METADATA_NAME.encode()]
    model.metadata = [*others, entry]
    return write_model(model)


def name_inputs(content: bytes, names: Mapping[str, str]) -> bytes:
    """Gives the inputs of the file's one signature the names of the features that they read.

    TFMA and TensorFlow Serving look for tensors called `serving_default_<input>:0`, whatever the
    source signature was called.

    Args:
      content: A TFLite file with exactly one signature.
      names: From the names that the signature has to those it gets.

    Returns:
      The file with its inputs, and their tensors, renamed.
    """
    model = read_model(content)
    (signature,) = model.signatureDefs
    for item in signature.inputs:
        name = names[item.name.decode()]
        item.name = name.encode()
        tensor = model.subgraphs[signature.subgraphIndex].tensors[item.tensorIndex]
        tensor.name = f"serving_default_{name}:0".encode()
    return write_model(model)


def read_signature_defs(content: bytes) -> dict[str, meta_graph_pb2.SignatureDef]:
    """Returns the signatures that TensorFlow Serving finds in a TFLite file, by name."""
    model = read_model(content)
    for entry in model.metadata or []:
        if entry.name == _METADATA_NAME.encode():
            root = flexbuffers.GetRoot(bytes(bytearray(model.buffers[entry.buffer].data))).AsMap
            return {
                key.AsKey: meta_graph_pb2.SignatureDef.FromString(value.AsStringBytes)
                for key, value in zip(root.Keys, root.Values, strict=True)
            }
    return {}


def own_signature_def(content: bytes) -> meta_graph_pb2.SignatureDef | None:
    """Returns what the metadata of a file with one signature should say; None if it has others."""
    model = read_model(content)
    return _signature_def(model) if len(model.signatureDefs or []) == 1 else None


def _signature_def(model: schema.ModelT) -> meta_graph_pb2.SignatureDef:
    (source,) = model.signatureDefs
    tensors = model.subgraphs[source.subgraphIndex].tensors
    result = meta_graph_pb2.SignatureDef(method_name=_METHOD_NAME)
    for maps, infos in ((source.inputs, result.inputs), (source.outputs, result.outputs)):
        for item in maps:
            tensor = tensors[item.tensorIndex]
            if tensor.type not in _TYPES:
                raise ModelError(
                    f"TensorFlow Serving's TFLite mode cannot carry the type of {item.name!r}: "
                    f"TFLite type {tensor.type}."
                )
            info = infos[item.name.decode()]
            info.name, info.dtype = tensor.name.decode(), _TYPES[tensor.type]
            shape = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
            for size in [] if shape is None else shape:
                info.tensor_shape.dim.add().size = int(size)
    return result
