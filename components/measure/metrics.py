"""How good predictions are, against labels."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfx_shrink.errors import ExamplesError
from tfx_shrink.measure.interval import wilson_interval


@dataclasses.dataclass(frozen=True)
class Quality:
    """A metric on some rows.

    Attributes:
      value: The metric; NaN where these rows do not define it, as the AUC of one class.
      low: Lower bound of its 95 % interval.
      high: Upper bound of it.
      rows: How many rows there were.
    """

    value: float
    low: float
    high: float
    rows: int


def accuracy(scores: np.ndarray, labels: np.ndarray) -> Quality:
    """Compares scores with labels.

    Args:
      scores: `[rows, classes]`, logits or probabilities; or `[rows]` or `[rows, 1]`, the second
        class's probability, or its logit where any lies outside `[0, 1]`.
      labels: `[rows]` or `[rows, 1]`, the index of the right class, or one-hot `[rows, classes]`.

    Returns:
      The share of rows whose highest score is the label's, in `[0, 1]`, with Wilson's interval.

    Raises:
      ExamplesError: There are more or fewer labels than rows.
    """
    right = int(correct(scores, labels).sum())
    low, high = wilson_interval(right, len(scores))
    return Quality(right / len(scores), low, high, len(scores))


def correct(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns which rows' highest score is the label's, as booleans `[rows]`; see `accuracy`."""
    scores = scores.reshape(len(scores), -1)
    if scores.shape[1] == 1:
        is_logit = scores.min() < 0 or scores.max() > 1
        chosen = (scores[:, 0] > (0.0 if is_logit else 0.5)).astype(np.int64)
    else:
        chosen = scores.argmax(axis=1)
    if labels.ndim > 1 and scores.shape[1] > 1 and labels.shape == scores.shape:
        labels = labels.argmax(axis=1)
    if labels.size != len(scores):
        raise ExamplesError(
            f"There are scores {scores.shape} and labels {labels.shape}; a label must be one class "
            "of each row, or one-hot over the scores' classes."
        )
    return chosen == labels.reshape(-1)


def two_classes(scores: np.ndarray, is_logit: bool) -> np.ndarray:
    """Returns `[rows, 2]` scores of a binary classifier's one output, for `accuracy`.

    Where several models, or slices of rows, are compared, one rule must hold for all of them.

    Args:
      scores: `[rows]` or `[rows, 1]` of the second class.
      is_logit: Whether they are logits: the second class is chosen above 0, else above 0.5.
    """
    above = scores.reshape(len(scores)) - (0.0 if is_logit else 0.5)
    return np.stack([-above, above], axis=1)


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve of a binary classifier, by ranks (Mann and Whitney 1947).

    Args:
      scores: `[rows]` or `[rows, 1]` of the second class, or `[rows, 2]`.
      labels: `[rows]` or `[rows, 1]`, 0 or 1.

    Returns:
      The area, in `[0, 1]`; ties count half.

    Raises:
      ExamplesError: Only one class occurs.
    """
    scores, labels = scores.reshape(len(scores), -1)[:, -1], labels.reshape(-1)
    positives = int((labels == 1).sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        raise ExamplesError(f"All {len(labels)} rows have one label, so there is no AUC.")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    # Tied scores share the middle of their ranks.
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    wins = ranks[labels == 1].sum() - positives * (positives + 1) / 2
    return float(wins / (positives * negatives))


def mean_squared_error(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the squared errors of `[rows, ...]` predictions.

    Raises:
      ExamplesError: Predictions and labels differ in shape.
    """
    return float(squared_errors(predictions, labels).mean())


def squared_errors(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each row's mean of squared errors, `[rows]`.

    Raises:
      ExamplesError: Predictions and labels differ in shape.
    """
    predictions = predictions.reshape(len(predictions), -1)
    labels = labels.reshape(len(labels), -1)
    if predictions.shape != labels.shape:
        raise ExamplesError(
            f"There are predictions {predictions.shape} and labels {labels.shape}; their shapes "
            "must be equal."
        )
    errors = predictions.astype(np.float64) - labels
    return np.square(errors).mean(axis=1)


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric by name.

    Attributes:
      compute: From predictions and labels to a number.
      higher_is_better: Which way is up.
    """

    compute: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool


METRICS = {
    "accuracy": Metric(lambda scores, labels: accuracy(scores, labels).value, True),
    "auc": Metric(auc, True),
    "mse": Metric(mean_squared_error, False),
}
