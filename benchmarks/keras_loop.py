"""The public Keras loop on files of rows, timed: what the Distiller is compared with."""

import dataclasses
import resource
import time
from collections.abc import Callable

import tensorflow as tf
import tf_keras
from peers.keras_distillation import Distilled

from tfx_shrink.pipelines.digits.data import LABEL, SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE

_SHUFFLED_ROWS = 10_000


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


def _knows_nothing(images: tf.Tensor, training: bool) -> tf.Tensor:
    return tf.fill([tf.shape(images)[0], 10], 0.1)


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
        loop = self._make(teacher)
        start = now()
        loop.fit(self._batches(), epochs=epochs, verbose=0)
        return loop.student, now() - start

    def _make(self, teacher: tf_keras.Model | None) -> Distilled:
        tf_keras.utils.set_random_seed(self.seed)
        loop = Distilled(self.build(), teacher or _knows_nothing, self.alpha, self.temperature)
        loop.compile(tf_keras.optimizers.Adam(self.learning_rate))
        return loop

    def _batches(self) -> tf.data.Dataset:
        return read_batches(self.rows, self.batch_size, self.seed)
