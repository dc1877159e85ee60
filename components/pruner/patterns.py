"""Where the zeros stand: patterns, and the masks that make them."""

import math
from collections.abc import Sequence

import numpy as np

UNSTRUCTURED, BLOCK_1X4, TWO_OF_FOUR, CHANNEL = "unstructured", "block_1x4", "2_of_4", "channel"
PATTERNS = (UNSTRUCTURED, BLOCK_1X4, TWO_OF_FOUR, CHANNEL)
_GROUP = 4


def uncovered(pattern: str, shape: Sequence[int]) -> str | None:
    """Says why a weight of this shape cannot have a pattern; None where it can.

    Args:
      pattern: Any but `"channel"`.
      shape: The weight's; its last axis is the output's, the one before it the input's.
    """
    if pattern == BLOCK_1X4 and len(shape) != 2:
        return f"block_1x4 covers two-dimensional weights; its shape is {tuple(shape)}"
    if pattern == TWO_OF_FOUR:
        if len(shape) not in (2, 4):
            return f"2_of_4 covers two- and four-dimensional weights; its shape is {tuple(shape)}"
        if shape[-2] <= 2:
            return f"2_of_4 finds no three weights along the input axis of {tuple(shape)}"
    return None


def make_masks(
    tensors: Sequence[np.ndarray], pattern: str, sparsity: float, scope: str = "tensor"
) -> list[np.ndarray]:
    """Says which weights stay: those of the largest magnitude (Han et al., 2015).

    Args:
      tensors: The weights, each one that the pattern covers.
      pattern: `"unstructured"`: any weight may go. `"block_1x4"`: four neighbours along the last
        axis go together, by their mean magnitude, as with TFMOT's `block_size=(1, 4)`. `"2_of_4"`:
        the two smallest of every four along the input axis go, as with TFMOT's
        `sparsity_m_by_n=(2, 4)`, whatever `sparsity` is.
      sparsity: Share of units that go, in `[0, 1)`; at least one of every tensor stays.
      scope: `"tensor"`: the share holds for every tensor; `"global"`: for all of them together.
        Defaults to `"tensor"`.

    Returns:
      Arrays of bool, True where a weight stays.
    """
    if pattern == TWO_OF_FOUR:
        return [_two_of_four(tensor) for tensor in tensors]
    scores = [_scores(tensor, pattern) for tensor in tensors]
    if scope == "tensor":
        stays = [_largest(values, sparsity) for values in scores]
    else:
        together = _largest(np.concatenate(scores), sparsity)
        stays = np.split(together, np.cumsum([len(values) for values in scores])[:-1])
        for flags, values in zip(stays, scores, strict=True):
            flags[values.argmax()] = True  # A tensor of zeros would cut the model in two.
    return [
        _spread(flags, tensor.shape, pattern) for flags, tensor in zip(stays, tensors, strict=True)
    ]


def zero_units(tensor: np.ndarray, pattern: str) -> tuple[int, int]:
    """Counts the units of a pattern, weights or blocks, that are zero, and all of them.

    Args:
      tensor: A weight.
      pattern: `"unstructured"` or `"block_1x4"`.
    """
    scores = _scores(tensor, pattern)
    return int((scores == 0).sum()), len(scores)


def has_two_of_four(tensor: np.ndarray) -> bool:
    """Tells whether no four weights along the input axis hold more than two that are not zero."""
    return bool(((_groups(tensor) != 0).sum(axis=-1) <= 2).all())


def _scores(tensor: np.ndarray, pattern: str) -> np.ndarray:
    """The magnitude of every unit, flat."""
    if pattern == UNSTRUCTURED:
        return np.abs(tensor).ravel()
    columns = tensor.shape[1]
    starts = np.arange(0, columns, _GROUP)
    sums = np.add.reduceat(np.abs(tensor), starts, axis=1)
    return (sums / np.minimum(_GROUP, columns - starts)).ravel()


def _spread(flags: np.ndarray, shape: Sequence[int], pattern: str) -> np.ndarray:
    """A flag for every weight from one for every unit."""
    if pattern == UNSTRUCTURED:
        return flags.reshape(shape)
    return np.repeat(flags.reshape(shape[0], -1), _GROUP, axis=1)[:, : shape[1]]


def _largest(scores: np.ndarray, sparsity: float) -> np.ndarray:
    """Flags the largest; of equal ones the first, so that their number is exact."""
    count = max(1, round(len(scores) * (1 - sparsity)))
    flags = np.zeros(len(scores), bool)
    flags[np.argsort(-scores, kind="stable")[:count]] = True
    return flags


def _groups(tensor: np.ndarray) -> np.ndarray:
    """`[others, groups, 4]` along the input axis, filled up with zeros."""
    rows = np.moveaxis(tensor, -2, -1).reshape(-1, tensor.shape[-2])
    rows = np.pad(rows, [(0, 0), (0, -rows.shape[1] % _GROUP)])
    return rows.reshape(len(rows), -1, _GROUP)


def _two_of_four(tensor: np.ndarray) -> np.ndarray:
    groups = np.abs(_groups(tensor))
    largest = np.argsort(-groups, axis=-1, kind="stable")[..., :2]
    stays = np.zeros(groups.shape, bool)
    np.put_along_axis(stays, largest, True, axis=-1)
    rows = stays.reshape(len(stays), -1)[:, : tensor.shape[-2]]
    others = math.prod(tensor.shape[:-2])
    by_input = rows.reshape(others, tensor.shape[-1], tensor.shape[-2])
    return np.moveaxis(by_input, -1, -2).reshape(tensor.shape)
