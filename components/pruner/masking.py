"""Magnitude masks on any variables: at once, or step by step while something trains them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfx_shrink.pruner.patterns import make_masks
from tfx_shrink.pruner.schedule import Schedule


def mask(variables: Sequence[tf.Variable], pattern: str, sparsity: float, scope: str) -> None:
    """Sets the smallest weights to zero.

    Args:
      variables: The weights.
      pattern: As for `patterns.make_masks`.
      sparsity: Share of zeros.
      scope: `"tensor"` or `"global"`.
    """
    tensors = [variable.numpy() for variable in variables]
    stays = make_masks(tensors, pattern, sparsity, scope)
    for variable, tensor, flags in zip(variables, tensors, stays, strict=True):
        variable.assign(np.where(flags, tensor, 0))


class MaskWeights(tf_keras.callbacks.Callback):
    """Prunes variables by a schedule while a model trains.

    Example:
      ```python
      masks = MaskWeights([layer.kernel], "unstructured", "global", schedule)
      model.fit(rows, callbacks=[masks])
      ```

    Args:
      variables: The weights to prune.
      pattern: As for `patterns.make_masks`.
      scope: `"tensor"` or `"global"`.
      schedule: How sparse each step leaves them.
    """

    def __init__(
        self, variables: Sequence[tf.Variable], pattern: str, scope: str, schedule: Schedule
    ):
        super().__init__()
        self._variables, self._pattern = list(variables), pattern
        self._scope, self._schedule = scope, schedule
        self._masks = [
            tf.Variable(tf.ones(variable.shape, variable.dtype), trainable=False)
            for variable in variables
        ]
        self._apply = tf.function(self._multiply, autograph=False)

    @property
    def tracked(self) -> dict[str, Any]:
        """What a checkpoint must hold besides model and optimizer."""
        return {f"mask_{number}": variable for number, variable in enumerate(self._masks)}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Makes the masks anew where the schedule says so, and applies them."""
        step = int(self.model.optimizer.iterations.numpy())
        if self._schedule.makes_masks(step):
            tensors = [variable.numpy() for variable in self._variables]
            sparsity = self._schedule.sparsity(step)
            stays = make_masks(tensors, self._pattern, sparsity, self._scope)
            for variable, flags in zip(self._masks, stays, strict=True):
                variable.assign(flags.astype(variable.dtype.as_numpy_dtype))
        self._apply()

    def _multiply(self) -> None:
        for variable, flags in zip(self._variables, self._masks, strict=True):
            variable.assign(variable * flags)
