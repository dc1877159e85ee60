"""What a student is trained for: to answer as its teacher does, and as labels say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.job import Job
from tfx_shrink.distiller.outputs import BINARY, CLASSES, REGRESSION
from tfx_shrink.distiller.settings import FEATURE, MSE, Settings
from tfx_shrink.distiller.teacher import OUTPUT

# Everything that is known of a batch besides its features.
TARGETS, LABEL, HAS_LABEL = "targets", "label", "has_label"


def loss_taken(job: Job) -> str:
    """Names the loss that a job takes: squared differences where numbers are predicted."""
    if job.kind.task == REGRESSION and job.settings.loss != MSE:
        return "mse" + (" and features" if job.settings.loss == FEATURE else "")
    return job.settings.loss


def soft_loss(teacher: tf.Tensor, student: tf.Tensor, task: str, settings: Settings) -> tf.Tensor:
    """How far a student's answers lie from its teacher's, row by row.

    Args:
      teacher: Logits, or the numbers of a regression, `[rows, ...]`.
      student: The same of the student.
      task: One of `outputs.CLASSES`, `BINARY` and `REGRESSION`.
      settings: `loss` and `temperature`.

    Returns:
      `[rows]`: squared differences, their mean; or the Kullback-Leibler divergence of softened
      probabilities times the squared temperature, which keeps the gradients' size (Hinton et al.,
      2015, section 2).
    """
    if task == REGRESSION or settings.loss == MSE:
        return _row_means(tf.math.squared_difference(teacher, student))
    temperature = settings.temperature
    teacher, student = teacher / temperature, student / temperature
    if task == CLASSES:
        wanted = tf.nn.log_softmax(teacher)
        each = tf.exp(wanted) * (wanted - tf.nn.log_softmax(student))
        divergence = tf.reduce_sum(each, axis=-1)
    else:
        wanted = tf.sigmoid(teacher)
        divergence = tf.nn.sigmoid_cross_entropy_with_logits(
            wanted, student
        ) - tf.nn.sigmoid_cross_entropy_with_logits(wanted, teacher)
    return temperature**2 * _row_means(divergence)


def hard_loss(labels: tf.Tensor, student: tf.Tensor, task: str) -> tf.Tensor:
    """How far a student's answers lie from labels, row by row.

    Args:
      labels: `[rows]` or `[rows, width]`; classes lie among those that the student tells apart.
      student: Logits, or the numbers of a regression, `[rows, ...]`.
      task: One of `outputs.CLASSES`, `BINARY` and `REGRESSION`.
    """
    if task == CLASSES and labels.shape.rank < student.shape.rank:
        classes = tf.cast(labels, tf.int64)
        return _row_means(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, student))
    labels = tf.reshape(tf.cast(labels, student.dtype), tf.shape(student))
    if task == CLASSES:
        return _row_means(tf.nn.softmax_cross_entropy_with_logits(labels, student))
    if task == BINARY:
        return _row_means(tf.nn.sigmoid_cross_entropy_with_logits(labels, student))
    return _row_means(tf.math.squared_difference(labels, student))


class Lesson(tf_keras.Model):
    """Trains a student on batches of `(features, what is known of them)`.

    A row with a label counts `alpha` times its hard loss and `1 - alpha` times its soft one; a row
    without a label its soft loss alone. With an `alpha` of 1 rows without a label do not count.

    Args:
      body: The student, giving logits.
      task: What the output is.
      settings: How to distill.
      alpha: Weight of the hard label.
      layer_shapes: Shapes of one row of the teacher's paired layers' outputs, by name. Where the
        student's layer has another shape, it learns a projection (Romero et al., 2015).
      ask: The teacher, which answers features with soft targets; None where batches hold them.
    """

    def __init__(
        self,
        body: tf_keras.Model,
        task: str,
        settings: Settings,
        alpha: float,
        layer_shapes: Mapping[str, Sequence[int]],
        ask: Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]] | None,
    ):
        super().__init__(name="lesson")
        pairs = settings.feature_pairs or {}
        answers = [body.output] + [
            _projected(body.get_layer(pairs[name]).output, shape, name)
            for name, shape in layer_shapes.items()
        ]
        self._student = tf_keras.Model(body.inputs, answers)
        self._names = [OUTPUT, *layer_shapes]
        self._task, self._settings, self._alpha, self._ask = task, settings, alpha, ask
        self._total = tf_keras.metrics.Mean(name="loss")

    @tf.autograph.experimental.do_not_convert
    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> dict[str, Any]:
        """Returns the student's answers, named as the soft targets are."""
        given = {name: features[name] for name in self._student.input_names}
        answers = self._student(given, training=training)
        return dict(zip(self._names, tf.nest.flatten(answers), strict=True))

    @property
    def metrics(self) -> list[Any]:
        """What starts anew with every epoch."""
        return [self._total]

    @tf.autograph.experimental.do_not_convert
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> tf.Tensor:
        """Returns the mean over the batch; over what one replica has of it."""
        if self._alpha == 1:
            labelled = tf.cast(y[HAS_LABEL], tf.float32)
            hard = self._hard(y, y_pred)
            loss = tf.math.divide_no_nan(tf.reduce_sum(labelled * hard), tf.reduce_sum(labelled))
        else:
            rows = self._soft(y[TARGETS] if self._ask is None else self._ask(x), y_pred)
            if LABEL in y and self._alpha > 0:
                hard = self._hard(y, y_pred)
                mixed = self._alpha * hard + (1 - self._alpha) * rows
                rows = tf.where(y[HAS_LABEL], mixed, rows)
            loss = tf.reduce_mean(rows)
        if self.losses:
            loss += tf.add_n(self.losses)
        self._total.update_state(loss)
        return loss / tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """Returns the mean loss."""
        return {"loss": self._total.result()}

    def _hard(self, known: Mapping[str, tf.Tensor], answers: Mapping[str, tf.Tensor]) -> Any:
        labels, has = known[LABEL], known[HAS_LABEL]
        has = tf.reshape(has, [-1] + [1] * (labels.shape.rank - 1))
        # A row without a label may hold anything, and what is left out must be finite too.
        labels = tf.where(has, labels, tf.zeros_like(labels))
        return hard_loss(labels, answers[OUTPUT], self._task)

    def _soft(self, targets: Mapping[str, tf.Tensor], answers: Mapping[str, tf.Tensor]) -> Any:
        rows = soft_loss(targets[OUTPUT], answers[OUTPUT], self._task, self._settings)
        if self._settings.loss == FEATURE:
            for name in self._names[1:]:
                rows += _row_means(tf.math.squared_difference(targets[name], answers[name]))
        return rows


def _projected(output: tf.Tensor, shape: Sequence[int], paired: str) -> tf.Tensor:
    """A layer's output in another shape, by weights of its own where it must be."""
    own = tuple(output.shape[1:])
    if own == tuple(shape):
        return output
    # Names of their own: those that Keras gives may be the student's.
    layers, name = tf_keras.layers, f"{paired}_projection"
    if own[:-1] == tuple(shape[:-1]):
        return layers.Dense(shape[-1], name=name)(output)
    units = int(tf.TensorShape(shape).num_elements())
    flat = layers.Flatten(name=f"{name}_input")(output)
    return layers.Reshape(shape, name=f"{name}_output")(layers.Dense(units, name=name)(flat))


def _row_means(values: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)
