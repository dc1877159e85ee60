"""The batches that a student learns from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.objective import HAS_LABEL, LABEL, TARGETS
from tfx_shrink.distiller.settings import CACHED
from tfx_shrink.distiller.soft_targets import unpack, write_soft_targets
from tfx_shrink.examples.batches import batch_size as fixed_batch_size
from tfx_shrink.examples.files import list_files
from tfx_shrink.examples.labels import labels_that_count
from tfx_shrink.proof.source import reads_serialized
from tfx_shrink.training.data import TrainingData, shuffled_batches


def make_lessons(
    job: Job,
    inputs: Mapping[str, tf.TensorSpec],
    patterns: Sequence[str],
    soft_dir: str,
    make_pipeline: Callable[[], beam.Pipeline],
) -> TrainingData:
    """Returns batches of `(features by name, soft targets and labels)`.

    Args:
      job: The teacher and its rows.
      inputs: What the student reads, by feature name.
      patterns: Glob patterns of the rows.
      soft_dir: Where rows with their soft targets are kept; not used where the teacher sees every
        batch.
      make_pipeline: Makes the Beam pipeline of the teacher's pass.

    Raises:
      ExamplesError: The rows lack what the student reads.
    """
    settings = job.settings
    size: dict[str, Any] = {
        "batch_size": fixed_batch_size(inputs) or settings.batch_size,
        "seed": settings.seed,
        "only_full": fixed_batch_size(inputs) is not None,
    }
    if settings.teacher_pass == CACHED:
        decode = job.source.decoder(inputs)
        shards = write_soft_targets(
            patterns, soft_dir, job.teacher, settings.label_key, make_pipeline=make_pipeline
        )

        def taught(records: tf.Tensor) -> tuple[Any, Any]:
            rows, targets, labels, there = unpack(records, job.targets)
            return decode(rows), {TARGETS: targets, **_known(rows, labels, there)}

        return shuffled_batches(shards, taught, **size)
    serialized = list(job.function.inputs) if reads_serialized(job.function) else []
    decode = job.source.decoder({**({} if serialized else job.function.inputs), **inputs})

    def to_be_taught(rows: tf.Tensor) -> tuple[Any, Any]:
        labels, there = job.read_labels(rows) if job.read_labels else (None, None)
        features = {**decode(rows), **dict.fromkeys(serialized, rows)}
        return features, _known(rows, labels, there)

    return shuffled_batches(list_files(patterns), to_be_taught, **size)


def given_lessons(job: Job, given: TrainingData) -> TrainingData:
    """Returns the same of the batches of user code's `input_fn`.

    Args:
      job: The teacher.
      given: Batches of `(features by name, label)`.
    """

    @tf.autograph.experimental.do_not_convert
    def lesson(features: Any, labels: tf.Tensor) -> tuple[Any, Any]:
        counts = labels_that_count(labels, None, job.teacher.num_classes)
        return features, {LABEL: labels, HAS_LABEL: counts}

    return TrainingData(given.steps_per_epoch, lambda first: given.from_epoch(first).map(lesson))


def _known(
    rows: tf.Tensor, labels: tf.Tensor | None, there: tf.Tensor | None
) -> dict[str, tf.Tensor]:
    if labels is None:
        return {HAS_LABEL: tf.zeros(tf.shape(rows)[:1], tf.bool)}
    return {LABEL: labels, HAS_LABEL: there}
