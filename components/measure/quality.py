"""How often a classifier is right."""

import dataclasses

import numpy as np

from tfx_shrink.measure.interval import wilson_interval


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """A classifier's accuracy on some rows.

    Attributes:
      value: Share of rows whose highest score is the label's, in `[0, 1]`.
      low: Lower bound of the 95 % Wilson interval.
      high: Upper bound of it.
      rows: How many rows there were.
    """

    value: float
    low: float
    high: float
    rows: int


def accuracy(scores: np.ndarray, labels: np.ndarray) -> Accuracy:
    """Compares scores with labels.

    Args:
      scores: `[rows, classes]`, logits or probabilities.
      labels: `[rows]` or `[rows, 1]`, the index of the right class.

    Returns:
      The accuracy and its interval.
    """
    right = int((scores.argmax(axis=1) == labels.reshape(-1)).sum())
    low, high = wilson_interval(right, len(scores))
    return Accuracy(right / len(scores), low, high, len(scores))
