"""What a teacher's output means, and the logits behind it."""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.distiller.settings import MSE
from tfx_shrink.errors import ModelError
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.losses import BINARY, CLASSES, REGRESSION, task_of_loss
from tfx_shrink.training.outputs import gives_probabilities, last_operation

# The logarithm of less is more than float32 tells apart from a probability of 0.
_TINY = 1e-7


@dataclasses.dataclass(frozen=True)
class OutputKind:
    """What an output is.

    Attributes:
      task: `"classes"`, one of several; `"binary"`, each number for itself; or `"regression"`.
      probabilities: Whether it went through a softmax or a sigmoid.
    """

    task: str
    probabilities: bool

    @property
    def activation(self) -> str:
        """Name of the Keras activation that makes it of logits."""
        if not self.probabilities:
            return "linear"
        return "softmax" if self.task == CLASSES else "sigmoid"

    def logits(self, values: tf.Tensor) -> tf.Tensor:
        """Returns the logits of outputs; of a softmax, those whose exponentials sum to 1."""
        if not self.probabilities:
            return values
        if self.task == CLASSES:
            return tf.math.log(tf.maximum(values, _TINY))
        inside = tf.clip_by_value(values, _TINY, 1 - _TINY)
        return tf.math.log(inside) - tf.math.log1p(-inside)


def teacher_output(
    function: ServedFunction,
    output: str,
    values: np.ndarray,
    *,
    labels: np.ndarray | None,
    saved_loss: Any,
    loss: str,
) -> OutputKind:
    """Tells what a teacher's output is: by its graph, then by labels, then by its own loss.

    Args:
      function: The function that gives the output.
      output: Its name.
      values: `[rows, ...]`, what it gave for real rows.
      labels: Labels of some rows; None where there are none.
      saved_loss: What the teacher was compiled with as its loss; None where that is not known.
      loss: The Distiller's loss.

    Raises:
      ModelError: It cannot be told whether numbers are logits or what was to be predicted.
    """
    width = values.shape[1] if values.ndim > 1 else 1
    last = last_operation(function, output)
    if last == "Softmax":
        return OutputKind(CLASSES, True)
    if last == "Sigmoid":
        return OutputKind(BINARY, True)
    probabilities = gives_probabilities(function, output, values)
    if probabilities and width > 1:
        return OutputKind(CLASSES, True)
    task = _task_of_labels(labels, width) or task_of_loss(saved_loss)
    if task is not None:
        return OutputKind(task, probabilities and task == BINARY)
    if loss == MSE:
        return OutputKind(REGRESSION, False)  # What the numbers are does not matter.
    raise ModelError(
        f"The teacher's output {output!r} ends in no softmax or sigmoid, and there is neither a "
        "label nor a known loss saved with it that would tell whether it is logits or a "
        "regression. "
        f"Give `label_key`, or loss='mse', which takes it as it is. Received: loss={loss!r}."
    )


def _task_of_labels(labels: np.ndarray | None, width: int) -> str | None:
    if labels is None or not len(labels):
        return None
    if width == 1:
        return BINARY if set(np.unique(labels)) <= {0, 1} else REGRESSION
    whole = bool((labels == np.round(labels)).all())
    if labels.ndim == 1:
        return CLASSES if whole and labels.max() < width else REGRESSION
    if whole and set(np.unique(labels)) <= {0, 1}:
        return CLASSES if (labels.sum(-1) == 1).all() else BINARY
    return REGRESSION
