"""How much quality a model lost beside another, on the same rows, and how sure that is."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfx_shrink.errors import ExamplesError
from tfx_shrink.measure.interval import (
    half_of_paired_proportions,
    mean_interval,
    paired_counts,
    wilson_interval,
)
from tfx_shrink.measure.metrics import METRICS, Quality, correct, squared_errors

_RESAMPLES = 500
# Resampling fewer rows of a class says nothing of the rows that are not there.
_MIN_ROWS_OF_A_CLASS = 30
_MOST_ROWS = 10**9


@dataclasses.dataclass(frozen=True)
class Drop:
    """By how much a model is worse than another on the same rows; negative where it is better.

    Attributes:
      value: The mean, in the metric's own unit; NaN where these rows do not define it.
      low: Lower bound of its 95 % interval.
      high: Upper bound of it.
      rows: How many rows there were.
      disagreements: Of accuracy, on how many rows only the other one and only the model is right.
    """

    value: float
    low: float
    high: float
    rows: int
    disagreements: tuple[int, int] | None = None

    def rows_needed(self, limit: float) -> int | None:
        """Returns about how many rows like these would tell on which side of a limit the drop lies.

        None where that cannot be told: the drop is the limit itself, or has no interval.
        """
        distance = abs(limit - self.value)
        half = (self.high - self.low) / 2
        if not (math.isfinite(half) and math.isfinite(distance) and distance):
            return None
        low, high = self.rows, 2 * self.rows
        while self._half(high, half) > distance:
            low, high = high, 2 * high
            if high > _MOST_ROWS:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._half(middle, half) > distance else (low, middle)
        digits = 10 ** max(0, math.floor(math.log10(high)) - 1)
        return math.ceil(high / digits) * digits

    def _half(self, rows: int, half: float) -> float:
        """Half of the interval on so many rows of the same kind."""
        if self.disagreements is None:
            return half * math.sqrt(self.rows / rows)
        worse, better = (count * rows / self.rows for count in self.disagreements)
        return half_of_paired_proportions(worse, better, rows)


def quality(metric: str, predictions: np.ndarray, labels: np.ndarray) -> Quality:
    """Returns a metric with its 95 % interval.

    Args:
      metric: One of `metrics.METRICS`.
      predictions: `[rows, ...]`, as that metric reads them.
      labels: `[rows]` or `[rows, ...]`.

    Returns:
      The metric: Wilson's interval for accuracy, Student's for a mean squared error, and
      percentiles over resampled rows for the area under the ROC curve.
    """
    rows = len(labels)
    if metric == "auc":
        value, low, high = _resampled(labels, lambda chosen: _auc(predictions, labels, chosen))
        return Quality(value, low, high, rows)
    value = METRICS[metric].compute(predictions, labels)
    if metric == "accuracy":
        low, high = wilson_interval(round(value * rows), rows)
    else:
        low, high = mean_interval(squared_errors(predictions, labels))
    return Quality(value, low, high, rows)


def quality_drop(metric: str, baseline: np.ndarray, model: np.ndarray, labels: np.ndarray) -> Drop:
    """Returns by how much a model is worse than its baseline on the same rows.

    The interval is that of the paired difference, which is far narrower than the difference of two
    intervals, since both models mostly err on the same rows: of paired proportions for accuracy
    (Agresti and Min 2005), Student's for mean squared errors, of resampled rows for the area under
    the ROC curve, which needs 30 rows of each class.

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
        worse, better = paired_counts(correct(baseline, labels), correct(model, labels))
        mean = (worse - better) / rows
        half = half_of_paired_proportions(worse, better, rows)
        return Drop(mean, mean - half, mean + half, rows, (worse, better))
    if metric == "mse":
        differences = squared_errors(model, labels) - squared_errors(baseline, labels)
        return Drop(float(differences.mean()), *mean_interval(differences), rows)

    def drop(chosen: np.ndarray) -> float:
        return _auc(baseline, labels, chosen) - _auc(model, labels, chosen)

    return Drop(*_resampled(labels, drop), rows)


def _auc(scores: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> float:
    return METRICS["auc"].compute(scores[chosen], labels[chosen])


def _resampled(
    labels: np.ndarray, statistic: Callable[[np.ndarray], float]
) -> tuple[float, float, float]:
    """A statistic and the middle 95 % of it over rows drawn again (Efron 1979), seeded."""
    rows = len(labels)
    try:
        value = statistic(np.arange(rows))
    except ExamplesError:
        return math.nan, -math.inf, math.inf
    of_a_class = min(int((labels == number).sum()) for number in (0, 1))
    if of_a_class < _MIN_ROWS_OF_A_CLASS:
        return value, -math.inf, math.inf
    random = np.random.RandomState(0)
    found = [statistic(random.randint(rows, size=rows)) for _ in range(_RESAMPLES)]
    low, high = np.percentile(found, [2.5, 97.5])
    return value, float(low), float(high)
