"""What a TFLite file stores: bytes of constants by type."""

from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

_TYPE_NAMES = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
}


def constant_bytes(content: bytes) -> dict[str, int]:
    """Returns {type name: bytes of constants of that type}, such as `{"int8": 98304}`.

    A buffer that several tensors share counts once.
    """
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(content))
    result: dict[str, int] = {}
    counted = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or tensor.buffer in counted:
                continue
            counted.add(tensor.buffer)
            name = _TYPE_NAMES[tensor.type]
            result[name] = result.get(name, 0) + len(data)
    return result
