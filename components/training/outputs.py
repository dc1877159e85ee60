"""What a model's output is: probabilities, or logits that still need a softmax or sigmoid."""

import numpy as np

from tfx_shrink.errors import UntrainableError
from tfx_shrink.saved_model.functions import ServedFunction

_PASSING = {"Identity", "IdentityN", "Cast"}
ACTIVATIONS = {"Softmax", "Sigmoid"}


def gives_probabilities(function: ServedFunction, output: str, values: np.ndarray) -> bool:
    """Tells whether an output went through a softmax or a sigmoid.

    The graph decides where its last operation is one of these; where the activation is written
    otherwise, the values on real rows decide: probabilities lie in `[0, 1]`, and several of them
    sum to 1.

    Args:
      function: The function that gives the output.
      output: Its name.
      values: `[rows, ...]`, what it gave for real rows.
    """
    if last_operation(function, output) in ACTIVATIONS:
        return True
    if values.min() < 0 or values.max() > 1:
        return False
    width = values.reshape(len(values), -1).shape[1] if values.ndim > 1 else 1
    return width == 1 or sum_to_1(values)


def sum_to_1(values: np.ndarray) -> bool:
    """Whether numbers `[rows, ..., classes]` look like what a softmax gives."""
    inside = values.min() >= 0 and values.max() <= 1
    return bool(inside and np.allclose(values.sum(-1), 1, atol=1e-3))


def last_operation(function: ServedFunction, output: str) -> str:
    """Returns the name of the operation that an output comes from, through nested functions."""
    graph = function.concrete.graph.as_graph_def()
    library = {item.signature.name: item for item in graph.library.function}
    # The traced function returns its outputs in the order of their names.
    position = sorted(function.outputs).index(output)
    name = function.concrete.graph.outputs[position].name
    nodes = {node.name: node for node in graph.node}
    while True:
        node_name, _, index = name.rpartition(":")
        node = nodes.get((node_name or name).split(":")[0])
        if node is None:
            return ""
        called = next(
            (item for item in (node.op, node.attr["f"].func.name) if item in library), None
        )
        if called is not None:
            function_def = library[called]
            results = [argument.name for argument in function_def.signature.output_arg]
            name = function_def.ret[results[int(index) if index.isdigit() else 0]]
            nodes = {node.name: node for node in function_def.node_def}
        elif node.op in _PASSING and node.input:
            name = node.input[0]
        else:
            return node.op


def single_output(function: ServedFunction) -> str:
    """Returns the name of the only output.

    Raises:
      UntrainableError: There are several.
    """
    if len(function.outputs) != 1:
        raise UntrainableError(
            f"The model has the outputs {sorted(function.outputs)}; which of them a label belongs "
            "to cannot be told. Give `module_path` or `module_file` with a `compile_fn`."
        )
    return next(iter(function.outputs))
