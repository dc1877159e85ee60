"""Weights in fewer bits, and how to widen them again."""

import dataclasses

import numpy as np
import tensorflow as tf

_INT8_MAX = 127


@dataclasses.dataclass(frozen=True)
class NarrowWeights:
    """A float32 array stored in fewer bits.

    Attributes:
      values: int8, bfloat16 or float16, of the array's shape.
      scale: float32, broadcastable to it: what an int8 step is worth; None for the float types.
    """

    values: np.ndarray
    scale: np.ndarray | None

    @property
    def bytes(self) -> int:
        """Bytes that are stored."""
        return self.values.nbytes + (0 if self.scale is None else self.scale.nbytes)


def narrow(weights: np.ndarray, storage: str) -> NarrowWeights:
    """Stores weights in fewer bits.

    int8 is symmetric, with one scale per output channel: the last axis, or the one before where
    the last has a single element, as depthwise kernels have it.

    Args:
      weights: float32, of any shape.
      storage: `"int8"`, `"bfloat16"` or `"float16"`.

    Returns:
      The narrow weights. float16 saturates at its largest finite value instead of overflowing.
    """
    if storage != "int8":
        dtype = tf.as_dtype(storage)
        limited = np.clip(weights, dtype.min, dtype.max) if storage == "float16" else weights
        return NarrowWeights(limited.astype(dtype.as_numpy_dtype), None)
    channel = weights.ndim - (2 if weights.ndim > 1 and weights.shape[-1] == 1 else 1)
    others = tuple(axis for axis in range(weights.ndim) if axis != channel)
    largest = np.abs(weights).max(axis=others if weights.ndim > 1 else None, keepdims=True)
    scale = np.where(largest > 0, largest / _INT8_MAX, 1.0).astype(np.float32)
    return NarrowWeights(np.rint(weights / scale).astype(np.int8), scale)


def widen(values: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
    """Returns float32 weights again, in the graph."""
    wide = tf.cast(values, tf.float32)
    return wide if scale is None else wide * scale
