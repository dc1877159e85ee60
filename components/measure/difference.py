"""How far the outputs of two models lie apart on the same rows."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfx_shrink.errors import ProofError


@dataclasses.dataclass(frozen=True)
class OutputDifference:
    """Absolute differences over all rows, outputs and elements, in the outputs' own unit.

    Attributes:
      max: The largest.
      p99: The 99th percentile.
      rows: How many rows were compared.
    """

    max: float
    p99: float
    rows: int


def output_difference(
    source: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray]
) -> OutputDifference:
    """Compares two models' outputs on the same rows.

    Args:
      source: The reference's outputs by name, each `[rows, ...]`.
      result: The other's, under the same names and of the same shapes.

    Returns:
      The differences.

    Raises:
      ProofError: Names, shapes or texts differ, or the result holds a value that is not finite
        where the source's is.
    """
    differences, rows = _differences(source, result)
    if not differences:
        return OutputDifference(0.0, 0.0, rows)
    every = np.concatenate(differences)
    if not every.size:
        raise ProofError("There is no finite output to compare: the source itself gives NaN.")
    return OutputDifference(float(every.max()), float(np.percentile(every, 99)), rows)


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How absolute differences are spread.

    Attributes:
      edges: The bins' edges, one more than there are counts, in the outputs' own unit.
      counts: How many differences lie in each bin.
    """

    edges: list[float]
    counts: list[int]


def difference_histogram(
    source: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray], bins: int = 20
) -> Histogram | None:
    """Counts the absolute differences of two models' outputs in bins of one width.

    Args:
      source: As for `output_difference`.
      result: As for `output_difference`.
      bins: How many bins. Defaults to 20.

    Returns:
      The histogram; None where the outputs are all text.

    Raises:
      ProofError: As for `output_difference`.
    """
    differences, _ = _differences(source, result)
    if not differences:
        return None
    every = np.concatenate(differences)
    counts, edges = np.histogram(every, bins, range=(0.0, float(every.max(initial=0.0)) or 1.0))
    return Histogram(edges.tolist(), counts.tolist())


def _differences(
    source: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray]
) -> tuple[list[np.ndarray], int]:
    """Absolute differences of every output that holds numbers, and the number of rows."""
    if sorted(source) != sorted(result):
        raise ProofError(f"Outputs differ: source {sorted(source)}, result {sorted(result)}.")
    differences = []
    rows = 0
    for name, expected in source.items():
        actual = result[name]
        if expected.shape != actual.shape:
            raise ProofError(
                f"Output {name!r} has another shape: source {expected.shape}, "
                f"result {actual.shape}."
            )
        if not np.issubdtype(expected.dtype, np.number) and expected.dtype != bool:
            if not np.array_equal(expected, actual):
                raise ProofError(f"Output {name!r} holds text, and it differs.")
            rows = len(expected)
            continue
        expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
        broken = np.isfinite(expected) & ~np.isfinite(actual)
        if broken.any():
            raise ProofError(
                f"Output {name!r} holds NaN or infinity in {int(broken.sum())} of {broken.size} "
                "values where the source's are finite."
            )
        rows = len(expected)
        both = np.isfinite(expected) & np.isfinite(actual)
        differences.append(np.abs(expected - actual)[both].ravel())
    return differences, rows
