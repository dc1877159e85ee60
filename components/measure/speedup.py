"""Whether one model is faster than another, by more than two copies of one model differ."""

import dataclasses
import math

import numpy as np

from tfx_shrink.measure.interval import Z_95

# Two loads of one file differ by a few percent for as long as they live: where their weights lie
# in memory decides. Two copies are too few to know how far, so this much is always allowed for.
_RESOLUTION = 0.05
_FLOORS = 3


@dataclasses.dataclass(frozen=True)
class Speedup:
    """How many times as fast a model is as another.

    Attributes:
      value: The other's time over its own, the median over rounds.
      low: Lower bound of its 95 % interval, widened by what the machine cannot tell.
      high: Upper bound of it.
      floor: By how much two copies of one model differed in the same rounds, as a share; the larger
        of both models' shares.
    """

    value: float
    low: float
    high: float
    floor: float


def compare_times(other: np.ndarray, own: np.ndarray) -> Speedup:
    """Compares two models' times, of two copies each, that were sampled in the same rounds.

    A difference counts where the interval leaves 1 out. Its half width is that of the median over
    the rounds, plus the larger of 5 % and three times the noise floor.

    Args:
      other: `[2, rounds]`, times of what is compared with; any unit.
      own: `[2, rounds]`, the model's own, in the same unit.

    Returns:
      The speedup.
    """
    other, own = np.log(other), np.log(own)
    by_round = np.sort(other.mean(axis=0) - own.mean(axis=0))
    floor = max(abs(float(np.median(times[0] - times[1]))) for times in (other, own))
    unknown = _unknown(floor)
    first, last = _ranks(len(by_round), 0.5)
    last = min(last, len(by_round) - 1)
    return Speedup(
        value=math.exp(np.median(by_round)),
        low=math.exp(by_round[first] - unknown),
        high=math.exp(by_round[last] + unknown),
        floor=math.exp(floor) - 1,
    )


def spread_of(copies: np.ndarray) -> float:
    """Returns the share by which a time of `[2, rounds]` may be off; see `compare_times`."""
    first, second = np.log(copies)
    floor = abs(float(np.median(first - second)))
    return math.exp(_unknown(floor)) - 1


def percentile_bounds(values: np.ndarray, share: float) -> tuple[float, float]:
    """Returns the 95 % interval of a percentile, by order statistics (Conover 1999, section 3.2).

    Args:
      values: `[calls]` times.
      share: Such as 0.99.

    Returns:
      Lower and upper bound; the upper is infinite where there are too few values to have one.
    """
    ordered = np.sort(values)
    first, last = _ranks(len(ordered), share)
    return float(ordered[first]), float(ordered[last]) if last < len(ordered) else math.inf


def _unknown(floor: float) -> float:
    """What two copies that differ by `floor` leave unknown; both are logarithms of ratios."""
    return max(_FLOORS * floor, math.log(1 + _RESOLUTION))


def _ranks(count: int, share: float) -> tuple[int, int]:
    """Ranks between which a percentile lies with 95 % confidence; the last may be `count`."""
    middle, half = count * share, Z_95 * math.sqrt(count * share * (1 - share))
    return max(0, math.floor(middle - half) - 1), math.ceil(middle + half)
