"""The numbers that a SavedModel stores: variables that are used, and constants of its graph."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfx_shrink.model_files import SAVED_MODEL
from tfx_shrink.saved_model.functions import list_functions

_CONSTANT_OF_INTEREST = 1024


def stored_arrays(model_dir: str, loaded: Any) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yields name, type and value of what a SavedModel stores.

    Args:
      model_dir: The SavedModel's directory.
      loaded: It, as `functions.load` returned it.

    Yields:
      The variables that its functions use, then its graph's constants of at least 1,024 bytes.
    """
    variables = {
        id(variable): variable
        for function in list_functions(loaded)
        for variable in function.concrete.variables
    }
    for variable in variables.values():
        yield variable.name.split(":")[0], variable.dtype.name, variable.numpy()
    path = os.path.join(model_dir, SAVED_MODEL)
    if not tf.io.gfile.exists(path):
        return
    with tf.io.gfile.GFile(path, "rb") as file:
        graph = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    for node in nodes:
        tensor = node.attr["value"].tensor
        if node.op == "Const" and len(tensor.tensor_content) >= _CONSTANT_OF_INTEREST:
            yield node.name, tf.as_dtype(tensor.dtype).name, tf.make_ndarray(tensor)
