"""Saves a SavedModel again with its large weights stored in another form, once for all signatures.

Every signature is frozen but for its large float weights. Those are resources that all signatures
share, as they share tables: each is widened once, when the model is loaded, and a request reads it
like any variable. Constants would be widened for every request where TensorFlow does not fold them,
which is above 10 MiB a weight. What a resource is widened from lies in the graph, or in variables
where a graph cannot hold it.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2, types_pb2
from tensorflow.python.framework import convert_to_constants, tensor_util
from tensorflow.python.trackable.resource import TrackableResource

from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.strip import resources_of

# Smaller tensors, such as biases and normalization, stay as they are.
LARGE_ELEMENTS = 1024
# A SavedModel's graph is one protocol buffer, and those end at 2 GiB; the rest of it is left 10 %.
_CONSTANT_LIMIT = int(0.9 * 2**31)

# Makes the float32 tensor of a weight, in the graph, from arrays that `Store` returned.
Widen = Callable[[list[tf.Tensor]], tf.Tensor]
# What to store for one weight: arrays of any type.
Store = Callable[[np.ndarray], list[np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """What `rewrite` did.

    Attributes:
      weight_bytes: Bytes of the large float weights of the source, each counted once.
      stored_bytes: Bytes that are stored for them now.
      as_variables: Whether they are stored as variables, because a graph cannot hold them.
    """

    weight_bytes: int
    stored_bytes: int
    as_variables: bool


def rewrite(model_dir: str, out_dir: str, store: Store, widen: Widen) -> Rewritten:
    """Saves a SavedModel with its large float32 weights replaced.

    Signatures keep their names, inputs and outputs; tables and assets go with them. What no
    signature uses, such as optimizer slots and the model's own call function, is left behind.

    Args:
      model_dir: The SavedModel's directory.
      out_dir: Directory to write.
      store: What to store for one weight.
      widen: How to get the weight back, in the graph.

    Returns:
      What was stored.

    Raises:
      ModelError: There is no SavedModel in `model_dir`.
    """
    loaded = load(model_dir)
    weights: dict[str, np.ndarray] = {}
    skeletons = {
        name: _skeleton(signature, weights) for name, signature in loaded.signatures.items()
    }
    stored = {digest: store(array) for digest, array in weights.items()}
    stored_bytes = sum(array.nbytes for arrays in stored.values() for array in arrays)

    module = tf.Module()
    module.resources = resources_of(loaded)
    as_variables = stored_bytes > _CONSTANT_LIMIT
    if as_variables:
        module.stored = {
            digest: [tf.Variable(array, trainable=False) for array in arrays]
            for digest, arrays in stored.items()
        }
    module.weights = {
        digest: _Weight(
            arrays,
            module.stored[digest] if as_variables else arrays,
            weights[digest].shape,
            widen,
        )
        for digest, arrays in stored.items()
    }
    tf.saved_model.save(
        module,
        out_dir,
        signatures={
            name: _rebuild(loaded.signatures[name], skeleton, module.weights)
            for name, skeleton in skeletons.items()
        },
    )
    weight_bytes = sum(array.nbytes for array in weights.values())
    return Rewritten(weight_bytes, stored_bytes, as_variables)


class _Weight(TrackableResource):
    """A float32 weight that is widened from what is stored for it whenever the model is loaded."""

    def __init__(
        self, arrays: list[np.ndarray], tensors: list[Any], shape: tuple[int, ...], widen: Widen
    ):
        super().__init__()
        self._tensors, self._shape, self._widen = tensors, shape, widen
        # Models in one Python process share resources by name, so the name says what is in it.
        self._name = _digest(*arrays)

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(
            dtype=tf.float32, shape=self._shape, shared_name=f"widened_{self._name}"
        )

    def _initialize(self) -> None:
        wide = self._widen([tf.convert_to_tensor(tensor) for tensor in self._tensors])
        tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=wide)

    def read(self) -> tf.Tensor:
        """Returns the weight, in the graph."""
        return tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=tf.float32)


@dataclasses.dataclass(frozen=True)
class _Skeleton:
    """A frozen graph without its large weights: placeholders, by name, stand for digests."""

    graph: graph_pb2.GraphDef
    weights: dict[str, str]


class _Cut(convert_to_constants._TensorData):
    """Freezes a weight as one number of its shape, so that no graph ever holds the weight."""

    def as_attr(self) -> attr_value_pb2.AttrValue:
        value = attr_value_pb2.AttrValue()
        value.tensor.dtype = self.dtype
        value.tensor.tensor_shape.CopyFrom(tf.TensorShape(self.numpy.shape).as_proto())
        value.tensor.float_val.append(0.0)
        return value


def _skeleton(signature: Any, weights: dict[str, np.ndarray]) -> _Skeleton:
    """Freezes a signature; its large weights are added to `weights` by digest."""
    data = convert_to_constants._FunctionConverterDataInEager(
        func=signature, lower_control_flow=False, aggressive_inlining=True
    )
    cuts = {}
    for name, tensor in data.tensor_data.items():
        if _is_large(tensor.dtype, tensor.numpy.size):
            cuts[name] = _add(weights, tensor.numpy)
            data.tensor_data[name] = _Cut(*tensor)
    frozen, _ = convert_to_constants._replace_variables_by_constants(data)
    graph = graph_pb2.GraphDef(versions=frozen.versions, library=frozen.library)
    for function in graph.library.function:
        # What grappler noted of its own functions is refused when the graph is imported again.
        for attribute in [name for name in function.attr if name.startswith("_Grappler")]:
            del function.attr[attribute]
    for node in frozen.node:
        if node.op == "Const" and node.name not in cuts:
            tensor = node.attr["value"].tensor
            size = tf.TensorShape(tensor.tensor_shape).num_elements()
            if _is_large(tensor.dtype, size):
                cuts[node.name] = _add(weights, tensor_util.MakeNdarray(tensor))
        kept = graph.node.add()
        if node.name in cuts:
            kept.op, kept.name = "Placeholder", node.name
            kept.attr["dtype"].type = types_pb2.DT_FLOAT
        else:
            kept.CopyFrom(node)
    return _Skeleton(graph, cuts)


def _is_large(dtype: int, size: int) -> bool:
    return dtype == types_pb2.DT_FLOAT and size >= LARGE_ELEMENTS


def _add(weights: dict[str, np.ndarray], array: np.ndarray) -> str:
    digest = _digest(array)
    weights[digest] = array
    return digest


def _digest(*arrays: np.ndarray) -> str:
    content = hashlib.sha256()
    for array in arrays:
        content.update(f"{array.dtype.name}{array.shape}".encode())
        content.update(np.ascontiguousarray(array).view(np.uint8).data)
    return content.hexdigest()


def _rebuild(signature: Any, skeleton: _Skeleton, weights: Mapping[str, _Weight]) -> Any:
    """A function like `signature` that reads its large weights from `weights`."""
    placeholders = {node.name for node in skeleton.graph.node if node.op == "Placeholder"}
    resources = [
        (external, internal.name)
        for external, internal in signature.graph.captures
        if internal.name.split(":")[0] in placeholders - skeleton.weights.keys()
    ]
    outputs = tf.nest.flatten(signature.structured_outputs, expand_composites=True)
    assert len(outputs) == len(signature.outputs)

    def serve(**tensors: tf.Tensor) -> Any:
        graph = tf.compat.v1.get_default_graph()
        replaced = {internal: graph.capture(external) for external, internal in resources}
        replaced |= {
            f"{name}:0": weights[digest].read() for name, digest in skeleton.weights.items()
        }
        for name, placeholder in zip(signature._arg_keywords, signature.inputs, strict=False):
            replaced[placeholder.name] = tensors[name]
        results = tf.graph_util.import_graph_def(
            skeleton.graph,
            input_map=replaced,
            return_elements=[tensor.name for tensor in signature.outputs],
            name="",
        )
        return tf.nest.pack_sequence_as(signature.structured_outputs, results)

    specs = signature.structured_input_signature[1]
    return tf.function(serve, autograph=False).get_concrete_function(
        **{name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in specs.items()}
    )
