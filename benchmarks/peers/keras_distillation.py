"""A distillation loop as Keras's examples describe it: the teacher is asked in every step."""

import numpy as np
import tensorflow as tf
import tf_keras


class Distilled(tf_keras.Model):
    """Trains a student on labels and on its teacher's softened answers.

    Args:
      student: A network that ends in probabilities.
      teacher: Another one, over the same features.
      alpha: Weight of the labels.
      temperature: By which both networks' logarithms are divided.
    """

    def __init__(self, student, teacher, alpha: float = 0.1, temperature: float = 3.0):
        super().__init__()
        self.student, self.teacher = student, teacher
        self.alpha, self.temperature = alpha, temperature

    def train_step(self, data):
        """One step on a batch of features and labels."""
        features, labels = data
        soft = tf.nn.softmax(_logits(self.teacher(features, training=False)) / self.temperature)
        with tf.GradientTape() as tape:
            answers = self.student(features, training=True)
            hard = tf_keras.losses.sparse_categorical_crossentropy(labels, answers)
            near = tf_keras.losses.kl_divergence(
                soft, tf.nn.softmax(_logits(answers) / self.temperature)
            )
            loss = tf.reduce_mean(self.alpha * hard + (1 - self.alpha) * near * self.temperature**2)
        weights = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return {"loss": loss}


def distill(teacher_dir: str, student, features: dict, labels: np.ndarray, epochs: int) -> None:
    """Trains the student, in place."""
    loop = Distilled(student, tf_keras.models.load_model(teacher_dir))
    loop.compile(tf_keras.optimizers.Adam(3e-3))
    loop.fit(features, labels, epochs=epochs, verbose=0)


def _logits(probabilities: tf.Tensor) -> tf.Tensor:
    return tf.math.log(tf.clip_by_value(probabilities, 1e-7, 1.0))
