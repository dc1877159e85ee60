"""What a teacher's output means, and the logits behind it."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.distiller.settings import MSE
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.losses import BINARY, CLASSES, REGRESSION, shown, task_of_loss
from tfx_shrink.training.outputs import gives_probabilities, last_operation, sum_to_1

# The logarithm of less is more than float32 tells apart from a probability of 0.
_TINY = 1e-7
_MEANINGS = {
    CLASSES: "one number for each of several classes, counted from 0",
    BINARY: "answers of yes or no, 1 or 0, each for itself",
    REGRESSION: "predicted numbers",
}


@dataclasses.dataclass(frozen=True)
class OutputKind:
    """What an output is.

    Attributes:
      task: `"classes"`, one of several; `"binary"`, each number for itself; or `"regression"`.
      probabilities: Whether it went through a softmax or a sigmoid.
      logarithms: Whether it is the logarithms of a softmax, which are logits of a certain sum.
    """

    task: str
    probabilities: bool
    logarithms: bool = False

    @property
    def activation(self) -> str:
        """Name of the activation that makes it of logits."""
        if self.logarithms:
            return "log_softmax"
        if not self.probabilities:
            return "linear"
        return "softmax" if self.task == CLASSES else "sigmoid"

    def num_classes(self, answer_shape: Sequence[int]) -> int | None:
        """Returns of how many classes a label is one; None where it is any number.

        Args:
          answer_shape: Shape of the output for one row.
        """
        if self.task == REGRESSION:
            return None
        return answer_shape[-1] if self.task == CLASSES else 2

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
    """Tells what a teacher's output is: by its graph, then by its own loss, then by labels.

    Args:
      function: The function that gives the output.
      output: Its name.
      values: `[rows, ...]`, what it gave for real rows.
      labels: Labels of some rows as they stand; None where there are none.
      saved_loss: What the teacher was compiled with as its loss; None where that is not known.
      loss: The Distiller's loss.

    Raises:
      ModelError: It cannot be told whether numbers are logits or what was to be predicted.
      ExamplesError: The labels are no labels of what it is.
    """
    if labels is not None and not len(labels):
        labels = None
    kind = _kind(function, output, values, labels, saved_loss, loss)
    if labels is not None:
        _require_fitting(kind, labels, values)
    return kind


def _kind(
    function: ServedFunction,
    output: str,
    values: np.ndarray,
    labels: np.ndarray | None,
    saved_loss: Any,
    loss: str,
) -> OutputKind:
    last = last_operation(function, output)
    if last == "Softmax":
        return OutputKind(CLASSES, True)
    if last == "Sigmoid":
        return OutputKind(BINARY, True)
    probabilities = gives_probabilities(function, output, values)
    several = values.ndim > 1 and values.shape[-1] > 1
    if probabilities and several:
        return OutputKind(CLASSES, True)
    if last == "LogSoftmax" or (several and values.max() <= 0 and sum_to_1(np.exp(values))):
        return OutputKind(CLASSES, False, logarithms=True)
    task = task_of_loss(saved_loss)
    if task is None and labels is not None:
        task = _task_of_labels(labels, values)
    if task is not None:
        return OutputKind(task, probabilities and task == BINARY)
    if loss == MSE:
        return OutputKind(REGRESSION, False)  # What the numbers are does not matter.
    raise ModelError(
        f"The teacher's output {output!r} ends in no softmax or sigmoid, and there is neither a "
        "label nor a known loss saved with it that would tell whether it is logits or a "
        "regression. "
        "Give labels that tell, by `label_key` or an `input_fn`, or loss='mse', which takes it as "
        f"it is. Received: loss={loss!r}."
    )


def _task_of_labels(labels: np.ndarray, values: np.ndarray) -> str | None:
    """What labels as they stand call for; None where they may be for more than one thing."""
    seen = set(np.unique(labels))
    several = values.ndim > 1 and values.shape[-1] > 1
    places = several and labels.ndim < values.ndim
    if seen == {-1, 1} and not several:
        return None  # Two classes, two numbers, or one class and rows without a label.
    if seen <= {-1, 0, 1} or places:  # What is negative may mark a row without a label.
        labels = labels[(labels >= 0).reshape(len(labels), -1).all(axis=1)]
    if not len(labels):
        return None
    if places:
        return CLASSES if bool((labels == np.round(labels)).all()) else REGRESSION
    if not set(np.unique(labels)) <= {0, 1}:
        return REGRESSION
    if several:
        return CLASSES if bool((labels.sum(-1) == 1).all()) else BINARY
    return BINARY


def _require_fitting(kind: OutputKind, labels: np.ndarray, values: np.ndarray) -> None:
    """Refuses labels that an output of this kind cannot have."""
    shape, wanted = labels.shape[1:], values.shape[1:]
    places = kind.task == CLASSES and len(shape) < len(wanted)
    fits = shape == wanted[:-1] if places else math.prod(shape) == math.prod(wanted)
    if places:
        fits = fits and labels.max() < wanted[-1] and bool((labels == np.round(labels)).all())
    elif kind.task != REGRESSION:
        fits = fits and labels.max() <= 1
    if not fits:
        raise ExamplesError(
            f"Labels {shown(labels)} do not fit the teacher's outputs {shown(values)}, which are "
            f"{_MEANINGS[kind.task]}. Give labels that do (of classes, a negative one marks a row "
            "without a label), or none, to learn from soft targets alone."
        )
