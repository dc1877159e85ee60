"""TFLite files as objects that can be read and changed."""

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils


def read_model(content: bytes) -> schema.ModelT:
    """Returns a TFLite file as an object.

    Large constants may lie behind the flatbuffer, where ai-edge-quantizer puts them; they are
    brought in, since what is written again has another length.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    for buffer in model.buffers:
        if buffer.offset > 1:  # 1 says that there is none.
            outside = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(outside, np.uint8)
        buffer.offset = buffer.size = 0
    return model


def write_model(model: schema.ModelT) -> bytes:
    """Returns the file of an object that `read_model` gave."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
