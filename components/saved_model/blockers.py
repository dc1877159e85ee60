"""Which operations keep a function of a SavedModel from becoming a TFLite model."""

import re

import tensorflow as tf

from tfx_shrink.saved_model.functions import ServedFunction

# Operations that no TFLite runtime runs, or that convert and then fail at the first call, as
# hash tables do. Others that block show only when a conversion is tried.
_BLOCKING = re.compile(
    r"ParseExample\w*|ParseSingleExample\w*|ParseSequenceExample\w*|Decode\w+|"
    r"\w*HashTable\w*|LookupTable\w*|InitializeTable\w*|StringToHashBucket\w*|StringToNumber|"
    r"StaticRegex\w*|Regex\w*|AsString|StringJoin|StringSplit\w*|StringLower|StringUpper|"
    r"Substr|(Eager)?PyFunc\w*"
)


def blockers(function: ServedFunction, *, select_tf_ops: bool = False) -> list[str]:
    """Lists what is seen, without converting, to keep `function` from running as TFLite.

    An empty list is not yet a promise: some operations block only at conversion.

    Args:
      function: A function of a loaded SavedModel.
      select_tf_ops: Whether operations may stay TensorFlow's, so that only inputs block. Defaults
        to False.

    Returns:
      Operation names and input types, sorted, such as `["ParseExampleV2", "input examples:
      string"]`; empty if nothing is seen.
    """
    inputs = [
        f"input {name}: {_type_name(spec)}"
        for name, spec in function.inputs.items()
        if not isinstance(spec, tf.TensorSpec) or spec.dtype == tf.string
    ]
    if select_tf_ops:
        return sorted(inputs)
    operations = [name for name in operations_of(function) if _BLOCKING.fullmatch(name)]
    return sorted(operations) + sorted(inputs)


def _type_name(spec: tf.TypeSpec) -> str:
    return spec.dtype.name if isinstance(spec, tf.TensorSpec) else type(spec).__name__


def operations_of(function: ServedFunction) -> set[str]:
    """Returns the names of all operations that `function` can reach, through nested functions."""
    graph = function.concrete.graph.as_graph_def()
    library = {item.signature.name: item.node_def for item in graph.library.function}
    operations: set[str] = set()
    reached: set[str] = set()
    open_nodes = list(graph.node)
    while open_nodes:
        node = open_nodes.pop()
        called = {node.op} | {
            name
            for value in node.attr.values()
            for name in [value.func.name, *(item.name for item in value.list.func)]
        }
        if node.op not in library:
            operations.add(node.op)
        for name in (called & library.keys()) - reached:
            reached.add(name)
            open_nodes.extend(library[name])
    return operations
