"""How good a student is beside its teacher, on rows that nobody trained on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.outputs import CLASSES, REGRESSION
from tfx_shrink.distiller.student import Student
from tfx_shrink.distiller.teacher import OUTPUT, Teacher
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.examples.sample import Sample
from tfx_shrink.measure.interval import paired_difference


def compare(job: Job, sample: Sample, students: Mapping[str, Student]) -> dict[str, Any]:
    """Compares teacher and students with the labels of some rows.

    Args:
      job: The teacher.
      sample: Rows that nobody trained on; those without a label are left out.
      students: The trained students by name; a `"control"` is what `"student"` is compared with.

    Returns:
      For the record: the metric's name, the number of rows, each model's value, and the difference
      of the student from the teacher and from the control on the same rows, with half of its 95 %
      interval. Empty where no row has a label.
    """
    if job.read_labels is None:
        return {}
    labels, there = (value.numpy() for value in job.read_labels(tf.constant(sample.rows)))
    rows = [row for row, has_label in zip(sample.rows, there, strict=True) if has_label]
    if not rows:
        return {}
    labels = labels[there]
    answers = {"teacher": Teacher(job.teacher).answer_rows(rows)[OUTPUT]}
    for name, student in students.items():
        features = job.source.decoder(student.inputs)(tf.constant(rows))
        arrays = {key: value.numpy() for key, value in features.items()}
        answers[name] = _predict(student.body, arrays, student.inputs)
    by_row = {name: _by_row(values, labels, job.kind.task) for name, values in answers.items()}
    facts: dict[str, Any] = {
        "metric": "mse" if job.kind.task == REGRESSION else "accuracy",
        "rows": len(rows),
        **{name: float(values.mean()) for name, values in by_row.items()},
    }
    for other in by_row.keys() - {"student"}:
        mean, half = paired_difference(by_row["student"], by_row[other])
        facts[f"student_minus_{other}"] = {"mean": mean, "half_of_95_percent_interval": half}
    return facts


def _predict(
    network: tf_keras.Model, arrays: Mapping[str, np.ndarray], inputs: Mapping[str, tf.TensorSpec]
) -> np.ndarray:
    def call(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {OUTPUT: network.predict_on_batch(dict(batch))}

    return run_in_batches(call, arrays, inputs)[OUTPUT]


def _by_row(logits: np.ndarray, labels: np.ndarray, task: str) -> np.ndarray:
    """Whether each row is right, or the square of its error."""
    count = len(logits)
    if task == CLASSES:
        wanted = labels.argmax(-1) if labels.ndim == logits.ndim else labels
        right = logits.argmax(-1) == wanted
        return right.reshape(count, -1).mean(axis=1)
    labels = labels.reshape(count, -1).astype(np.float64)
    logits = logits.reshape(count, -1)
    if task == REGRESSION:
        return np.square(logits - labels).mean(axis=1)
    return ((logits > 0) == (labels > 0.5)).mean(axis=1)
