"""Rows that have a label, and the slices that they fall into."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from tfx_shrink.efficiency_validator.settings import Settings
from tfx_shrink.errors import ExamplesError, ParameterError
from tfx_shrink.examples.labels import make_label_reader
from tfx_shrink.examples.sample import Sample

_MAX_SLICES = 100


@dataclasses.dataclass(frozen=True)
class Judged:
    """What is needed to judge answers.

    Attributes:
      rows: Indices of the rows that have a label.
      labels: Theirs, `[rows, ...]`; empty where no label was asked for.
      slices: Indices among those rows, by slice; `""` is all of them.
    """

    rows: np.ndarray
    labels: np.ndarray
    slices: Mapping[str, np.ndarray]

    def scores(self, answers: Mapping[str, np.ndarray], settings: Settings) -> np.ndarray:
        """Returns the output that the metric reads, for the rows that have a label."""
        return answers[judged_output(answers, settings)][self.rows]

    def by_slice(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yields each slice's name, indices and labels."""
        for name, chosen in self.slices.items():
            yield name, chosen, self.labels[chosen]


def judged_output(outputs: Iterable[str], settings: Settings) -> str:
    """Returns the name of the output that the metric reads.

    Raises:
      ParameterError: There are several outputs and none is named, or there is no such one.
    """
    names, name = sorted(outputs), settings.output_name
    if name is None and len(names) == 1:
        return names[0]
    if name is None or name not in names:
        raise ParameterError(f"`output_name` must be one of {names}. Received: {name!r}.")
    return name


def judge_rows(
    sample: Sample, settings: Settings, *, transform_graph: str | None, schema: str | None
) -> Judged:
    """Reads labels and slices.

    Args:
      sample: The rows.
      settings: Which feature holds the label, and by which the rows are sliced.
      transform_graph: Transform's output, where it makes the label. None: the rows hold it.
      schema: The rows' schema file. None: features are as the rows show them.

    Returns:
      The rows that have a label, their labels, and each slice's rows; nothing without `label_key`.

    Raises:
      ExamplesError: No row has the label, or it holds text.
      ParameterError: A slice's feature has too many values, or is in no row.
    """
    if settings.label_key is None:
        return Judged(np.arange(0), np.zeros(0), {})
    read = make_label_reader(
        sample.rows,
        settings.label_key,
        transform_graph=transform_graph,
        schema=schema,
        from_transform=sample.from_transform,
    )
    labels, there = (value.numpy() for value in read(tf.constant(sample.rows)))
    rows = np.flatnonzero(there)
    if not rows.size:
        raise ExamplesError(
            f"None of {len(sample.rows)} rows has a label. Give rows that have one, or another "
            f"label_key. Received: label_key={settings.label_key!r}."
        )
    kept = [sample.rows[index] for index in rows]
    slices = {"": np.arange(len(rows))}
    for key in settings.slice_keys:
        slices.update(_slices(kept, key))
    return Judged(rows, labels[rows], slices)


def _slices(rows: list[bytes], key: str) -> dict[str, np.ndarray]:
    values = [_first_value(row, key) for row in rows]
    names = sorted({value for value in values if value is not None})
    if not names:
        raise ParameterError(f"`slice_keys` must be features of the rows. Received: {key!r}.")
    if len(names) > _MAX_SLICES:
        raise ParameterError(
            f"`slice_keys`: {key!r} has {len(names)} values, and each would be a slice; at most "
            f"{_MAX_SLICES}. Give a feature with fewer."
        )
    return {
        f"{key}={name}": np.array([row for row, value in enumerate(values) if value == name])
        for name in names
    }


def _first_value(row: bytes, key: str) -> str | None:
    feature = tf.train.Example.FromString(row).features.feature
    if key not in feature:
        return None
    kind = feature[key].WhichOneof("kind")
    values = getattr(feature[key], kind).value if kind else []
    if not values:
        return None
    value = values[0]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
