"""Rows in batches of the size that a function takes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_BATCH = 64


def batch_size(inputs: Mapping[str, Any]) -> int | None:
    """Returns the batch size that a function insists on, or None if it takes any."""
    sizes = [spec.shape[0] for spec in inputs.values() if spec.shape.rank]
    return sizes[0] if sizes else None


def run_in_batches(
    call: Callable[[dict[str, np.ndarray]], Mapping[str, Any]],
    rows: Mapping[str, np.ndarray],
    inputs: Mapping[str, tf.TypeSpec],
) -> dict[str, np.ndarray]:
    """Calls a function on all rows, batch by batch.

    Args:
      call: From arrays by input name to arrays or tensors by output name.
      rows: Arrays `[rows, ...]` by input name.
      inputs: The function's inputs. Where they fix the batch, the last one is filled up with rows
        whose answers are left out.

    Returns:
      Arrays `[rows, ...]` by output name.
    """
    return answer_in_batches(call, rows, batch_size(inputs))


def answer_in_batches(
    call: Callable[[dict[str, np.ndarray]], Mapping[str, Any]],
    rows: Mapping[str, np.ndarray],
    fixed: int | None,
) -> dict[str, np.ndarray]:
    """Calls a function whose batch size is known on all rows, batch by batch.

    Args:
      call: As for `run_in_batches`.
      rows: As for `run_in_batches`.
      fixed: The only size of batch that it takes; None if it takes any.

    Returns:
      Arrays `[rows, ...]` by output name.
    """
    answers = []
    for batch in _batches(rows, fixed or _BATCH):
        count = len(next(iter(batch.values())))
        if fixed and count < fixed:
            batch = {name: repeat_rows(values, fixed) for name, values in batch.items()}
        answers.append({name: np.asarray(value)[:count] for name, value in call(batch).items()})
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def full_batches(rows: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    """Yields rows in batches of exactly `size`; those that fill no batch are left out.

    Fewer rows than one batch are repeated until they fill it.
    """
    count = len(next(iter(rows.values())))
    if count < size:
        yield {name: repeat_rows(values, size) for name, values in rows.items()}
        return
    for batch in _batches(rows, size):
        if len(next(iter(batch.values()))) == size:
            yield batch


def _batches(rows: Mapping[str, np.ndarray], size: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, len(next(iter(rows.values()))), size):
        yield {name: values[start : start + size] for name, values in rows.items()}


def repeat_rows(values: np.ndarray, size: int) -> np.ndarray:
    """Returns the first `size` of `[rows, ...]`, which begin again where they are fewer."""
    return values[np.arange(size) % len(values)]
