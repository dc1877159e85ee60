"""The batches that a student learns from, and one training of it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.objective import HAS_LABEL, LABEL, TARGETS, Lesson
from tfx_shrink.distiller.settings import CACHED, DEFAULT_EPOCHS
from tfx_shrink.distiller.soft_targets import unpack, write_soft_targets
from tfx_shrink.distiller.student import Student
from tfx_shrink.distiller.teacher import OUTPUT, Teacher
from tfx_shrink.errors import ExamplesError
from tfx_shrink.examples.batches import batch_size as fixed_batch_size
from tfx_shrink.examples.files import list_files
from tfx_shrink.proof.source import reads_serialized
from tfx_shrink.training.data import TrainingData, given_training_data, shuffled_batches
from tfx_shrink.training.early_stopping import StopEarly
from tfx_shrink.training.loop import train
from tfx_shrink.training.strategy import get_strategy


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
    size = {
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
        labels, there = (None, None) if job.read_labels is None else job.read_labels(rows)
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
        dataset.map(lambda features, label: (features, _known(label, label, None)))
    )


def _known(
    rows: tf.Tensor, labels: tf.Tensor | None, there: tf.Tensor | None
) -> dict[str, tf.Tensor]:
    if labels is None:
        return {HAS_LABEL: tf.zeros(tf.shape(rows)[:1], tf.bool)}
    if there is None:
        there = tf.ones(tf.shape(rows)[:1], tf.bool)
    return {LABEL: labels, HAS_LABEL: there}


def num_steps(job: Job, data: TrainingData) -> int:
    """Returns for how many steps to train."""
    settings = job.settings
    return settings.num_steps or (settings.epochs or DEFAULT_EPOCHS) * data.steps_per_epoch


def teach(
    job: Job,
    build: Callable[[], Student],
    data: TrainingData,
    eval_data: TrainingData | None,
    *,
    alpha: float,
    checkpoint_dir: str | None,
    log_dir: str | None,
) -> tuple[Student, dict[str, Any]]:
    """Trains a student.

    Args:
      job: The teacher and its rows.
      build: Makes the student; called where the strategy places variables.
      data: Its batches.
      eval_data: Rows that it is not trained on; None where training stops at its last step only.
      alpha: Weight of the hard label.
      checkpoint_dir: Where the last epoch is kept, or None.
      log_dir: TensorBoard's directory, or None.

    Returns:
      The student, trained, and what to write into the compression record.

    Raises:
      TrainingError: The loss or a weight is not finite.
    """
    settings = job.settings
    with get_strategy(settings.strategy).scope():
        student = build()
        shapes = {name: shape for name, shape in job.targets.targets.items() if name != OUTPUT}
        # Loaded here, where the strategy places its variables too.
        ask = None if settings.teacher_pass == CACHED else Teacher(job.teacher).answer
        lesson = Lesson(student.body, job.kind.task, settings, alpha, shapes, ask)
        lesson.compile(tf_keras.optimizers.Adam(settings.learning_rate))
        stop = None
        if eval_data is not None and settings.patience is not None:
            stop = StopEarly(lesson, eval_data, settings.patience)
    trained = train(
        lesson,
        data,
        num_steps(job, data),
        checkpoint_dir=checkpoint_dir,
        log_dir=log_dir,
        callbacks=[stop] if stop else [],
        tracked=stop.tracked if stop else {},
    )
    if stop:
        stop.use_best(lesson)
    return student, {
        "steps": trained.steps,
        "epochs": trained.epochs,
        "resumed_epochs": trained.resumed_epochs,
        "final_loss": trained.final_loss,
        "early_stopping": stop.facts if stop else None,
    }


def below(directory: str | None, name: str) -> str | None:
    """Returns a path below a directory that may be None."""
    return None if directory is None else os.path.join(directory, name)
