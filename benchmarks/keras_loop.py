"""Distillation as the public Keras example describes it: the teacher sees every batch.

Written from its description: a model that wraps teacher and student, whose step asks the teacher
for the batch, softens both answers by a temperature, and adds the divergence to the hard loss.
"""

import dataclasses
import resource
import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE

_SHUFFLED_ROWS = 10_000
_EPSILON = 1e-7  # As Keras keeps probabilities away from 0.


@dataclasses.dataclass(frozen=True)
class Spent:
    """Seconds, of the clock and of all cores."""

    wall: float
    cpu: float

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.wall - other.wall, self.cpu - other.cpu)

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.wall + other.wall, self.cpu + other.cpu)


def now() -> Spent:
    """Returns the time, and what this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))


class Distiller(tf_keras.Model):
    """Teacher and student, where every step asks the teacher.

    Args:
      student: Gives probabilities.
      teacher: Gives probabilities; None: every class is as probable as the next, and no teacher is
        asked.
      alpha: Weight of the hard loss.
      temperature: Divides logits before the softmax.
    """

    def __init__(
        self,
        student: tf_keras.Model,
        teacher: tf_keras.Model | None,
        alpha: float,
        temperature: float,
    ):
        super().__init__()
        self.student, self._teacher = student, teacher
        self._alpha, self._temperature = alpha, temperature
        self._hard = tf_keras.losses.SparseCategoricalCrossentropy()
        self._soft = tf_keras.losses.KLDivergence()

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Teaches one batch of images and labels."""
        images, labels = data
        if self._teacher is None:
            wanted = tf.fill([tf.shape(images)[0], 10], 0.1)
        else:
            wanted = self._softened(self._teacher(images, training=False))
        with tf.GradientTape() as tape:
            answers = self.student(images, training=True)
            soft = self._soft(wanted, self._softened(answers)) * self._temperature**2
            loss = self._alpha * self._hard(labels, answers) + (1 - self._alpha) * soft
        weights = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}

    def _softened(self, probabilities: tf.Tensor) -> tf.Tensor:
        logits = tf.math.log(tf.maximum(probabilities, _EPSILON))
        return tf.nn.softmax(logits / self._temperature)


def read_batches(rows: str, batch_size: int, seed: int) -> tf.data.Dataset:
    """Reads the same Examples that Distiller reads, mixed anew for every epoch."""
    spec = {
        IMAGE: tf.io.FixedLenFeature([SIDE, SIDE, 1], tf.float32),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
    }

    def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        return parsed[IMAGE], parsed[LABEL]

    return (
        tf.data.TFRecordDataset(rows)
        .shuffle(_SHUFFLED_ROWS, seed=seed)
        .batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


@dataclasses.dataclass(frozen=True)
class Loop:
    """How to teach.

    Attributes:
      build: Makes a student.
      rows: File of tf.Examples.
      batch_size: Rows of a batch.
      learning_rate: Of Adam.
      alpha: Weight of the hard loss.
      temperature: Divides logits before the softmax.
      seed: Chooses the student's first weights and the order of the rows.
    """

    build: Callable[[], tf_keras.Model]
    rows: str
    batch_size: int
    learning_rate: float
    alpha: float
    temperature: float
    seed: int

    def teach(self, teacher: tf_keras.Model | None, epochs: int) -> tuple[tf_keras.Model, Spent]:
        """Returns a student, and what teaching it took, tracing included; None is no teacher."""
        distiller = self._make(teacher)
        start = now()
        distiller.fit(self._batches(), epochs=epochs, verbose=0)
        return distiller.student, now() - start

    def _make(self, teacher: tf_keras.Model | None) -> Distiller:
        tf_keras.utils.set_random_seed(self.seed)
        distiller = Distiller(self.build(), teacher, self.alpha, self.temperature)
        distiller.compile(tf_keras.optimizers.Adam(self.learning_rate))
        return distiller

    def _batches(self) -> tf.data.Dataset:
        return read_batches(self.rows, self.batch_size, self.seed)
