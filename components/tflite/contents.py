"""What a TFLite file stores: bytes of constants by type, names, TensorFlow's own operations."""

import math

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from tfx_shrink.measure.stored_weight import StoredWeight
from tfx_shrink.tflite.flatbuffer import read_model

_TYPE_NAMES = {
    value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
}

_FLEX = "Flex"

# The place of the bias among the inputs of convolutions and fully connected layers.
_BIAS = 2

_NUMBERS = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
}


def stored_tensors(content: bytes) -> list[StoredWeight]:
    """Lists the constants of a TFLite file; a buffer that several tensors share counts once."""
    model = read_model(content)
    found = []
    counted = set()
    for graph in model.subgraphs:
        names = _reader_names(graph)
        for number, tensor in enumerate(graph.tensors):
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or tensor.buffer in counted:
                continue
            counted.add(tensor.buffer)
            shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
            elements = math.prod(shape)
            found.append(
                StoredWeight(
                    names.get(number, (tensor.name or b"").decode()),
                    _TYPE_NAMES[tensor.type],
                    len(data),
                    elements,
                    _zeros(tensor, np.asarray(data, np.uint8), elements),
                    len(shape),
                )
            )
    return found


def _reader_names(graph: schema.SubGraphT) -> dict[int, str]:
    """Names of constants after the operation that reads them: their own are often made up."""
    names: dict[int, str] = {}
    for operator in graph.operators:
        if not len(operator.outputs):
            continue
        layer = (graph.tensors[operator.outputs[0]].name or b"").decode().split(";")[0]
        for position, index in enumerate(operator.inputs):
            names.setdefault(int(index), f"{layer} (bias)" if position == _BIAS else layer)
    return names


def constant_bytes(content: bytes) -> dict[str, int]:
    """Returns {type name: bytes of constants of that type}, such as `{"int8": 98304}`."""
    result: dict[str, int] = {}
    for tensor in stored_tensors(content):
        result[tensor.dtype] = result.get(tensor.dtype, 0) + tensor.bytes
    return result


def _zeros(tensor: schema.TensorT, data: np.ndarray, elements: int) -> int:
    if tensor.type == schema.TensorType.INT4:
        values = np.concatenate([data & 15, data >> 4])[:elements]
    elif tensor.type in _NUMBERS:
        values = data.view(_NUMBERS[tensor.type])
    else:
        return 0
    quantization = tensor.quantization
    points = None if quantization is None else quantization.zeroPoint
    zero = int(points[0]) if points is not None and len(points) else 0
    # The sparse format leaves zeros out.
    return int((values == zero).sum()) + elements - len(values)


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
