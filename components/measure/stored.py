"""What a model's files store, weight by weight: bytes, type, and how much of it is zero."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.measure.stored_weight import StoredWeight
from tfx_shrink.model_files import TFLITE_FILES
from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.stored import stored_arrays
from tfx_shrink.tflite.contents import stored_tensors

# Smaller ones are biases and shapes; pruning leaves them alone.
_MIN_RANK = 2


def stored_weights(model_dir: str, loaded: Any = None) -> list[StoredWeight]:
    """Lists what a model's files store, largest first.

    Args:
      model_dir: A SavedModel's directory, or one that holds a TFLite file.
      loaded: The SavedModel as `saved_model.functions.load` returned it. Defaults to None: it is
        loaded.

    Returns:
      Of a SavedModel, the variables that its functions use and the constants of its graph that
      matter; of a TFLite file, its constants.

    Raises:
      ModelError: There is no model.
    """
    path = tflite_path(model_dir)
    if path is not None:
        with tf.io.gfile.GFile(path, "rb") as file:
            found = stored_tensors(file.read())
    else:
        arrays = stored_arrays(model_dir, load(model_dir) if loaded is None else loaded)
        found = [_of_array(name, dtype, array) for name, dtype, array in arrays]
    return sorted(found, key=lambda weight: (-weight.bytes, weight.name))


def bytes_by_type(weights: list[StoredWeight]) -> dict[str, int]:
    """Returns {type: bytes}, most bytes first."""
    found: dict[str, int] = {}
    for weight in weights:
        found[weight.dtype] = found.get(weight.dtype, 0) + weight.bytes
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def overall_sparsity(weights: list[StoredWeight]) -> float:
    """Returns the share of zeros in all matrices, convolutions and tables together; 0 if none."""
    prunable = [weight for weight in weights if weight.rank >= _MIN_RANK]
    elements = sum(weight.elements for weight in prunable)
    return sum(weight.zeros for weight in prunable) / elements if elements else 0.0


def tflite_path(model_dir: str) -> str | None:
    """Returns the TFLite file in a directory that holds no SavedModel, or None."""
    if tf.saved_model.contains_saved_model(model_dir) or not tf.io.gfile.isdir(model_dir):
        return None
    names = [name for name in tf.io.gfile.listdir(model_dir) if name.endswith(".tflite")]
    for name in (*TFLITE_FILES, *sorted(names)):
        path = os.path.join(model_dir, name)
        if tf.io.gfile.exists(path):
            return path
    return None


def _of_array(name: str, dtype: str, array: np.ndarray) -> StoredWeight:
    zeros = int(array.size - np.count_nonzero(array))
    return StoredWeight(name, dtype, array.nbytes, array.size, zeros, array.ndim)
