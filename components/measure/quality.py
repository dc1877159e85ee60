"""How much quality a model lost beside another, on the same rows, and how sure that is."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfx_shrink.errors import ExamplesError
from tfx_shrink.measure.interval import (
    mean_interval,
    paired_difference,
    paired_proportions,
    wilson_interval,
)
from tfx_shrink.measure.metrics import METRICS, correct, squared_errors

_RESAMPLES = 500


@dataclasses.dataclass(frozen=True)
class Quality:
    """A metric on some rows.

    Attributes:
      value: The metric.
      low: Lower bound of its 95 % interval.
      high: Upper bound of it.
      rows: How many rows there were.
    """

    value: float
    low: float
    high: float
    rows: int


@dataclasses.dataclass(frozen=True)
class Drop:
    """By how much a model is worse than another on the same rows; negative where it is better.

    Attributes:
      value: The mean, in the metric's own unit.
      low: Lower bound of its 95 % interval.
      high: Upper bound of it.
      rows: How many rows there were.
    """

    value: float
    low: float
    high: float
    rows: int

    def rows_needed(self, limit: float) -> int | None:
        """Returns about how many rows would tell on which side of a limit the drop lies.

        Half of the interval shrinks with the root of the rows. None where the drop is the limit
        itself, which no number of rows decides.
        """
        distance = abs(limit - self.value)
        if not distance:
            return None
        half = (self.high - self.low) / 2
        needed = self.rows * (half / distance) ** 2
        digits = 10 ** max(0, math.floor(math.log10(max(needed, 1))) - 1)
        return max(self.rows + 1, math.ceil(round(needed / digits, 6)) * digits)


def quality(metric: str, predictions: np.ndarray, labels: np.ndarray) -> Quality:
    """Returns a metric with its 95 % interval.

    Args:
      metric: One of `metrics.METRICS`.
      predictions: `[rows, ...]`, as that metric reads them.
      labels: `[rows]` or `[rows, ...]`.

    Returns:
      The metric: Wilson's interval for accuracy, the normal one for a mean squared error, and
      percentiles over resampled rows for the area under the ROC curve.
    """
    value, rows = METRICS[metric].compute(predictions, labels), len(labels)
    if metric == "accuracy":
        low, high = wilson_interval(round(value * rows), rows)
    elif metric == "mse":
        low, high = mean_interval(squared_errors(predictions, labels))
    else:
        low, high = _resampled(rows, lambda chosen: auc_of(predictions, labels, chosen))
    return Quality(value, low, high, rows)


def quality_drop(metric: str, baseline: np.ndarray, model: np.ndarray, labels: np.ndarray) -> Drop:
    """Returns by how much a model is worse than its baseline on the same rows.

    The interval is that of the paired difference, which is far narrower than the difference of two
    intervals, since both models mostly err on the same rows: of paired proportions for accuracy
    (Agresti and Min 2005), normal for mean squared errors, of resampled rows for the area under the
    ROC curve.

    Args:
      metric: One of `metrics.METRICS`.
      baseline: `[rows, ...]`, the baseline's predictions.
      model: The model's.
      labels: `[rows]` or `[rows, ...]`.

    Returns:
      The drop, positive where the model is worse.
    """
    rows = len(labels)
    if metric == "accuracy":
        mean, half = paired_proportions(correct(baseline, labels), correct(model, labels))
        return Drop(mean, mean - half, mean + half, rows)
    if metric == "mse":
        errors = squared_errors(model, labels), squared_errors(baseline, labels)
        mean, half = paired_difference(*errors)
        half = half if rows > 1 else math.inf  # One row says nothing of others.
        return Drop(mean, mean - half, mean + half, rows)

    def drop(chosen: np.ndarray) -> float:
        return auc_of(baseline, labels, chosen) - auc_of(model, labels, chosen)

    return Drop(drop(np.arange(rows)), *_resampled(rows, drop), rows)


def auc_of(scores: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> float:
    """Returns the area under the ROC curve on some of the rows."""
    return METRICS["auc"].compute(scores[chosen], labels[chosen])


def _resampled(rows: int, statistic: Callable[[np.ndarray], float]) -> tuple[float, float]:
    """The middle 95 % of a statistic over rows drawn with replacement (Efron 1979), seeded."""
    random = np.random.RandomState(0)
    found = []
    for _ in range(_RESAMPLES):
        try:
            found.append(statistic(random.randint(rows, size=rows)))
        except ExamplesError:
            continue  # All rows that were drawn have one label.
    if not found:
        return -math.inf, math.inf
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
