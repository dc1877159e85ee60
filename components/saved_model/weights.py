"""The weights of a SavedModel, and what its functions use them for."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.checkpoint.graph_view import ObjectGraphView

from tfx_shrink.saved_model.functions import list_functions, training_function

MATRIX, CONVOLUTION, DEPTHWISE, EMBEDDING, OTHER = (
    "matrix",
    "convolution",
    "depthwise",
    "embedding",
    "other",
)

# The first that matches names the use: a table that is also multiplied is a table.
_USES = {
    EMBEDDING: {"ResourceGather", "ResourceGatherNd", "Gather", "GatherV2", "GatherNd"},
    DEPTHWISE: {"DepthwiseConv2dNative"},
    CONVOLUTION: {"Conv", "Conv2D", "Conv3D"},
    MATRIX: {"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "XlaDotV2"},
}
# What gives a weight on as it is.
_PASSING = {
    "Cast",
    "ExpandDims",
    "Identity",
    "ReadVariableOp",
    "Reshape",
    "Split",
    "SplitV",
    "Squeeze",
    "StridedSlice",
    "Transpose",
}


@dataclasses.dataclass(frozen=True)
class Weight:
    """One variable that a model's functions read.

    Attributes:
      name: Its name, such as `"dense/kernel"`; where several have one, they are numbered.
      variable: The variable.
      use: `MATRIX`, `CONVOLUTION`, `DEPTHWISE`, `EMBEDDING` or `OTHER` (a bias, normalization, or
        what could not be told).
    """

    name: str
    variable: tf.Variable
    use: str

    @property
    def layer(self) -> str:
        """The name without its last part: the layer's, where a layer made it."""
        return self.name.rpartition("/")[0] or self.name


def list_weights(loaded: Any) -> list[Weight]:
    """Lists the float variables that signatures and call function read, with their uses.

    A use is read off the graph, through nested functions, and not guessed from a name.

    Args:
      loaded: A model as `saved_model.functions.load` returned it.

    Returns:
      The weights, by name.
    """
    functions = [*list_functions(loaded), training_function(loaded)]
    found: dict[int, tuple[tf.Variable, set[str]]] = {}
    for function in functions:
        if function is None:
            continue
        concrete = function.concrete
        variables = {id(variable.handle): variable for variable in concrete.graph.variables}
        graph = _Graph(concrete.graph.as_graph_def())
        for external, internal in concrete.graph.captures:
            variable = variables.get(id(external))
            if variable is not None and variable.dtype.is_floating:
                _, uses = found.setdefault(id(variable.handle), (variable, set()))
                uses.update(graph.uses_of(internal.op.name))
    ordered = sorted(
        (variable.name.split(":")[0], _use(uses), tuple(variable.shape), position, variable)
        for position, (variable, uses) in enumerate(found.values())
    )
    names = collections.Counter[str]()
    weights = []
    for name, use, _, _, variable in ordered:
        names[name] += 1
        unique = name if names[name] == 1 else f"{name}_{names[name]}"
        weights.append(Weight(unique, variable, use))
    return weights


def counterparts(loaded: Any, again: Any) -> dict[int, tf.Variable]:
    """Finds each variable of a model in the same model loaded again, under a strategy perhaps.

    Args:
      loaded: A model as `saved_model.functions.load` returned it.
      again: Another load of the same directory.

    Returns:
      Variables of `again`, by the `id` of those of `loaded`.
    """
    pairs = zip(_variables(loaded), _variables(again), strict=True)
    return {id(one): other for one, other in pairs}


def _variables(loaded: Any) -> list[tf.Variable]:
    # Breadth first, so that both are found in one order; names need not be unique.
    reachable, _ = ObjectGraphView(loaded).breadth_first_traversal()
    return [item for item in reachable if isinstance(item, tf.Variable)]


def _use(operations: set[str]) -> str:
    return next((use for use, known in _USES.items() if operations & known), OTHER)


class _Graph:
    """The graph of a function and of those that it calls."""

    def __init__(self, graph: Any):
        self._library = {item.signature.name: item for item in graph.library.function}
        self._readers = {"": _readers(graph.node)} | {
            name: _readers(item.node_def) for name, item in self._library.items()
        }

    def uses_of(self, name: str) -> set[str]:
        """Returns the operations that read a value, at whatever depth."""
        uses: set[str] = set()
        reached = {("", name)}
        to_follow = list(reached)
        while to_follow:
            scope, value = to_follow.pop()
            for node, position in self._readers[scope].get(value, []):
                if node.op in _PASSING:
                    following = {(scope, node.name)}
                else:
                    following = set(self._arguments(node, position))
                    if not following:
                        uses.add(node.op)
                to_follow += following - reached
                reached |= following
        return uses

    def _arguments(self, node: Any, position: int) -> Iterator[tuple[str, str]]:
        """What the value is called inside the functions that a node calls."""
        called = [node.op, *(value.func.name for value in node.attr.values())]
        called += [item.name for value in node.attr.values() for item in value.list.func]
        # The first input of a conditional chooses the branch.
        chosen = 1 if node.op in ("If", "StatelessIf", "Case", "StatelessCase") else 0
        for name in called:
            if name in self._library:
                arguments = self._library[name].signature.input_arg
                if 0 <= position - chosen < len(arguments):
                    yield name, arguments[position - chosen].name


def _readers(nodes: Sequence[Any]) -> Mapping[str, list[tuple[Any, int]]]:
    readers = collections.defaultdict(list)
    for node in nodes:
        for position, value in enumerate(node.input):
            readers[value.split(":")[0]].append((node, position))
    return readers
