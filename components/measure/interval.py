"""Confidence intervals."""

import math

import numpy as np

Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a proportion (Wilson 1927).

    Args:
      successes: How many trials went well, `0 <= successes <= trials`.
      trials: How many there were, at least 1.

    Returns:
      Lower and upper bound, each in `[0, 1]`.
    """
    share = successes / trials
    spread = Z_95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
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
    return float(by_row.mean()), float(Z_95 * deviation / math.sqrt(len(by_row)))


def paired_counts(first: np.ndarray, second: np.ndarray) -> tuple[int, int]:
    """Returns on how many rows only the first, and only the second, of two models is right.

    Args:
      first: `[rows]` booleans, whether one model's answer is right.
      second: The same of the other.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    return int((first & ~second).sum()), int((second & ~first).sum())


def half_of_paired_proportions(only_first: float, only_second: float, rows: int) -> float:
    """Half of the 95 % interval of the difference of two shares on the same rows.

    Half a row is added to each of the four cells (Agresti and Min 2005), so that a handful of rows
    on which both agree is no proof that they always do.

    Args:
      only_first: On how many rows only the first is right.
      only_second: On how many only the second is.
      rows: How many rows there are.
    """
    more, less, added = only_first + 0.5, only_second + 0.5, rows + 2
    return Z_95 * math.sqrt(more + less - (more - less) ** 2 / added) / added


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a mean of `[rows]` values, by Student's distribution.

    A single value says nothing of others: the interval is everything.
    """
    count = len(values)
    if count < 2:
        return -math.inf, math.inf
    from scipy import stats  # Pipeline authors need not wait for it.

    deviation = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(stats.t.ppf(0.975, count - 1)) * deviation
    return float(np.mean(values)) - half, float(np.mean(values)) + half
