"""What a TFLite file stores: bytes of constants by type, names, TensorFlow's own operations."""

from tensorflow.lite.python import schema_py_generated as schema

from tfx_shrink.tflite.flatbuffer import read_model

_TYPE_NAMES = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
}

_FLEX = "Flex"


def constant_bytes(content: bytes) -> dict[str, int]:
    """Returns {type name: bytes of constants of that type}, such as `{"int8": 98304}`.

    A buffer that several tensors share counts once.
    """
    model = read_model(content)
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


def layer_names(content: bytes) -> list[str]:
    """Returns the names of the outputs of the operations that read constants, in their order."""
    model = read_model(content)
    names = []
    for graph in model.subgraphs:
        for operator in graph.operators:
            read = [graph.tensors[index] for index in operator.inputs if index >= 0]
            if any(model.buffers[tensor.buffer].data is not None for tensor in read):
                names += [graph.tensors[index].name.decode() for index in operator.outputs]
    return names


def tensorflow_operations(content: bytes) -> list[str]:
    """Returns the names of the TensorFlow operations that the file kept, sorted.

    Such a file needs a runtime with TensorFlow's kernels, which TensorFlow Serving's TFLite mode
    does not have.
    """
    model = read_model(content)
    names = [(code.customCode or b"").decode() for code in model.operatorCodes]
    return sorted({name.removeprefix(_FLEX) for name in names if name.startswith(_FLEX)})
