"""The teacher's pass over the rows: a Beam transform that writes every row with its soft targets.

A shard is written under another name and renamed when it is whole, so a pass that was killed goes
on with the shards that are missing, and no row is ever written twice.
"""

import dataclasses
import math
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.utils.shared import Shared

from tfx_shrink.distiller.teacher import Teacher, TeacherSpec
from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.files import count_rows, list_files, read_batches
from tfx_shrink.examples.labels import LabelReader, make_label_reader

_SHARD_ROWS = 1024
_SUFFIX = ".tfrecord"


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """What a record holds besides its row.

    Attributes:
      targets: Shape of each soft target of one row, by name.
      label: Shape and type of one label; None where there are no labels.
    """

    targets: Mapping[str, tuple[int, ...]]
    label: tf.TensorSpec | None


def write_soft_targets(
    patterns: Sequence[str],
    directory: str,
    teacher: TeacherSpec,
    label_key: str | None,
    *,
    make_pipeline: Callable[[], beam.Pipeline] = beam.Pipeline,
) -> list[str]:
    """Writes rows with their soft targets and labels; shards that are there already are kept.

    Args:
      patterns: Glob patterns of TFRecord files of the rows.
      directory: Where to, on a file system that every worker reaches; it must belong to this
        teacher and these rows alone.
      teacher: What to ask.
      label_key: The label's feature, or None.
      make_pipeline: Makes the Beam pipeline. Defaults to the direct runner.

    Returns:
      The shards' paths, sorted.

    Raises:
      ExamplesError: The shards do not hold every row once.
    """
    files = list_files(patterns)
    tf.io.gfile.makedirs(directory)
    with make_pipeline() as pipeline:
        _ = pipeline | SoftTargets(files, directory, teacher, label_key)
    shards = sorted(tf.io.gfile.glob(os.path.join(directory, f"*{_SUFFIX}")))
    written, rows = count_rows(shards) if shards else 0, count_rows(files)
    if written != rows:
        raise ExamplesError(
            f"The teacher answered {written} rows in {directory}, and there are {rows} in "
            f"{list(patterns)}. Remove the directory and run again, while nothing changes the rows."
        )
    return shards


class SoftTargets(beam.PTransform):
    """Pipeline -> PCollection of the number of rows of each shard that was written.

    Args:
      files: Paths of TFRecord files, gzipped or not.
      directory: Where shards are written.
      teacher: What to ask.
      label_key: The label's feature, or None.
    """

    def __init__(
        self, files: Sequence[str], directory: str, teacher: TeacherSpec, label_key: str | None
    ):
        super().__init__()
        self._files, self._directory = files, directory
        self._teacher, self._label_key = teacher, label_key

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        """Cuts files into shards, and asks the teacher shard by shard."""
        return (
            pipeline
            | "Files" >> beam.Create(list(enumerate(self._files)))
            | "OneFileAWorker" >> beam.Reshuffle()
            | "Shards" >> beam.FlatMap(_missing_shards, self._directory)
            | "OneShardAWorker" >> beam.Reshuffle()
            | "Teacher" >> beam.ParDo(_Ask(self._teacher, self._label_key))
        )


def unpack(
    records: tf.Tensor, spec: TargetSpec
) -> tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor | None, tf.Tensor | None]:
    """Takes records of the shards apart, inside a tf.data pipeline.

    Args:
      records: `[rows]`.
      spec: What they hold.

    Returns:
      The serialized rows; soft targets by name; labels and whether each row has one, or None.
    """
    at = 0

    def take(shape: Sequence[int], dtype: tf.DType) -> tf.Tensor:
        nonlocal at
        size = math.prod(shape) * dtype.size
        values = tf.io.decode_raw(tf.strings.substr(records, at, size), dtype)
        at += size
        return tf.reshape(values, [-1, *shape])

    targets = {name: take(shape, tf.float32) for name, shape in spec.targets.items()}
    labels = there = None
    if spec.label is not None:
        labels = take(spec.label.shape, spec.label.dtype)
        there = take([], tf.uint8) > 0
    rest = tf.strings.length(records) - at
    return tf.strings.substr(records, tf.fill(tf.shape(rest), at), rest), targets, labels, there


def _missing_shards(file: tuple[int, str], directory: str) -> Iterator[tuple[str, list[bytes]]]:
    number, path = file
    for index, rows in enumerate(read_batches(path, _SHARD_ROWS)):
        shard = os.path.join(directory, f"{number:05d}-{index:07d}{_SUFFIX}")
        if not tf.io.gfile.exists(shard):
            yield shard, rows


class _Ask(beam.DoFn):
    """Asks the teacher for the rows of a shard, and writes it."""

    def __init__(self, spec: TeacherSpec, label_key: str | None):
        super().__init__()
        self._spec, self._label_key = spec, label_key
        self._shared = Shared()

    def setup(self) -> None:
        self._loaded = self._shared.acquire(self._load)

    def process(self, element: tuple[str, list[bytes]]) -> Iterator[int]:
        shard, rows = element
        answers = self._loaded.teacher.answer_rows(rows)
        labels = there = None
        if self._loaded.read is not None:
            labels, there = (value.numpy() for value in self._loaded.read(tf.constant(rows)))
        partial = f"{shard}.{uuid.uuid4().hex}.partial"
        with tf.io.TFRecordWriter(partial) as writer:
            for head, row in zip(_heads(answers, labels, there), rows, strict=True):
                writer.write(head.tobytes() + row)
        tf.io.gfile.rename(partial, shard, overwrite=True)
        yield len(rows)

    def _load(self) -> "_Loaded":
        teacher = Teacher(self._spec)
        if self._label_key is None:
            return _Loaded(teacher, None)
        spec = self._spec
        read = tf.function(
            make_label_reader(
                spec.sample.rows,
                self._label_key,
                num_classes=spec.num_classes,
                transform_graph=spec.transform_graph,
                schema=spec.schema,
                from_transform=spec.sample.from_transform,
            ),
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        )
        return _Loaded(teacher, read)


@dataclasses.dataclass(frozen=True)
class _Loaded:
    """What the threads of a worker share."""

    teacher: Teacher
    read: LabelReader | None


def _heads(
    answers: Mapping[str, np.ndarray], labels: np.ndarray | None, there: np.ndarray | None
) -> np.ndarray:
    """What stands before each row in its record: fixed lengths, `[rows, bytes]`.

    Bytes, and no tf.Example in a tf.Example, whose packing took twice as long as a small teacher.
    """
    parts = [values.astype(np.float32) for values in answers.values()]
    if labels is not None and there is not None:
        parts += [labels, there.astype(np.uint8)]
    flat = [np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8) for part in parts]
    return np.concatenate(flat, axis=1)
