"""Confidence intervals."""

import math

import numpy as np

_Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson 1927).

    Args:
      successes: How many trials went well, `0 <= successes <= trials`.
      trials: How many there were, at least 1.

    Returns:
      Lower and upper bound, each in `[0, 1]`.
    """
    share = successes / trials
    spread = _Z_95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The mean difference of two models on the same rows, and half of its 95 % interval.

    Args:
      first: `[rows]` or `[seeds, rows]`, what is averaged, such as whether an answer is right.
      second: The same of the other model.

    Returns:
      The mean of `first - second`, and by how much other rows would move it with the same trained
      models; 0 for a single row.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    by_row = np.atleast_2d(differences).mean(axis=0)
    deviation = by_row.std(ddof=1) if len(by_row) > 1 else 0.0
    return float(by_row.mean()), float(_Z_95 * deviation / math.sqrt(len(by_row)))


def paired_proportions(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """The difference of two shares on the same rows, and half of its 95 % interval.

    Half a row is added to each of the four cells (Agresti and Min 2005), so that a handful of rows
    on which both agree is no proof that they always do.

    Args:
      first: `[rows]` booleans, such as whether one model's answer is right.
      second: The same of the other.

    Returns:
      The share of `first` less that of `second`, and half of the interval.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    rows, more, less = len(first) + 2, only_first + 0.5, only_second + 0.5
    deviation = math.sqrt(more + less - (more - less) ** 2 / rows) / rows
    return (only_first - only_second) / len(first), _Z_95 * deviation


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a mean of `[rows]` values, by the normal distribution."""
    mean, half = paired_difference(values, np.zeros_like(values))
    return mean - half, mean + half
