"""The batches that a student learns from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.objective import HAS_LABEL, LABEL, TARGETS
from tfx_shrink.distiller.settings import CACHED
from tfx_shrink.distiller.soft_targets import unpack, write_soft_targets
from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.batches import batch_size as fixed_batch_size
from tfx_shrink.examples.files import list_files
from tfx_shrink.examples.labels import labels_that_count
from tfx_shrink.proof.source import reads_serialized
from tfx_shrink.training.data import TrainingData, given_training_data, shuffled_batches


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


def given_lessons(job: Job) -> TrainingData:
    """Returns the batches of user code's `input_fn`.

    Raises:
      ExamplesError: They are not pairs of features and label, or there is none, or no end of them.
    """
    dataset = job.functions["input_fn"](
        list_files(job.examples), job.transform_output, job.settings.batch_size
    )
    if not isinstance(dataset.element_spec, tuple) or len(dataset.element_spec) != 2:
        raise ExamplesError(
            "`input_fn` must return batches of (features by name, label). Received batches of "
            f"{dataset.element_spec}."
        )
    return given_training_data(
        dataset.map(lambda features, label: (features, _given(label, job.teacher.num_classes))),
        job.settings.num_steps,
    )


def _known(
    rows: tf.Tensor, labels: tf.Tensor | None, there: tf.Tensor | None
) -> dict[str, tf.Tensor]:
    if labels is None:
        return {HAS_LABEL: tf.zeros(tf.shape(rows)[:1], tf.bool)}
    return {LABEL: labels, HAS_LABEL: there}


def _given(labels: tf.Tensor, num_classes: int | None) -> dict[str, tf.Tensor]:
    return {LABEL: labels, HAS_LABEL: labels_that_count(labels, None, num_classes)}
