"""Which raw features a signature parses from serialized Examples."""

from tensorflow.python.framework import tensor_util

from tfx_shrink.saved_model.functions import ServedFunction

# The inputs of ParseExampleV2 that hold names of sparse, dense and ragged features
# (tensorflow/core/ops/parsing_ops.cc).
_NAME_INPUTS = (2, 3, 4)


def parsed_features(function: ServedFunction) -> set[str]:
    """Returns the names of the features that a function parses.

    Args:
      function: One that reads serialized tf.Examples.

    Returns:
      The names; empty where the graph does not hold them as constants.
    """
    graph = function.concrete.graph.as_graph_def()
    found: set[str] = set()
    for scope in (graph.node, *(item.node_def for item in graph.library.function)):
        nodes = {node.name: node for node in scope}
        for node in scope:
            if node.op != "ParseExampleV2":
                continue
            for position in _NAME_INPUTS:
                source = nodes.get(node.input[position].split(":")[0])
                if source is None or source.op != "Const":
                    return set()
                names = tensor_util.MakeNdarray(source.attr["value"].tensor)
                found.update(name.decode() for name in names.ravel())
    return found
