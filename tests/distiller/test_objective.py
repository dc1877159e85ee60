"""The loss is the published one, and rows without a label count by their soft target alone."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfx_shrink.distiller.objective import HAS_LABEL, LABEL, TARGETS, Lesson, hard_loss, soft_loss
from tfx_shrink.distiller.outputs import BINARY, CLASSES, REGRESSION
from tfx_shrink.distiller.settings import Settings

RANDOM = np.random.RandomState(0)
TEACHER, STUDENT = (RANDOM.randn(6, 3).astype(np.float32) * 3 for _ in range(2))
LABELS = np.array([0, 1, 2, 0, -1, 7])
HAS = np.array([True, True, True, True, False, False])


def soft(task, **parameters):
    return soft_loss(tf.constant(TEACHER), tf.constant(STUDENT), task, Settings(**parameters))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_is_keras_own_divergence_of_softened_probabilities_times_temperature_squared(
    temperature,
):
    expected = temperature**2 * tf_keras.losses.kl_divergence(
        tf.nn.softmax(TEACHER / temperature), tf.nn.softmax(STUDENT / temperature)
    )
    np.testing.assert_allclose(soft(CLASSES, temperature=temperature), expected, rtol=1e-3)


def test_kl_of_a_sigmoid_is_that_of_both_of_its_outcomes():
    def outcomes(logits):
        probability = tf.sigmoid(logits / 2.0)
        return tf.stack([probability, 1 - probability], axis=-1)

    each = tf_keras.losses.kl_divergence(outcomes(TEACHER), outcomes(STUDENT))
    expected = 4 * tf.reduce_mean(each, axis=-1)
    np.testing.assert_allclose(soft(BINARY, temperature=2.0), expected, rtol=1e-3)


def test_the_size_of_the_gradient_does_not_follow_the_temperature():
    def gradient(temperature):
        student = tf.Variable(STUDENT / 10)
        with tf.GradientTape() as tape:
            settings = Settings(temperature=temperature)
            loss = soft_loss(tf.constant(TEACHER / 10), student, CLASSES, settings)
        return float(tf.norm(tape.gradient(loss, student)))

    # Hinton et al., 2015, section 2: without the factor it would be a 16th.
    assert gradient(8.0) == pytest.approx(gradient(2.0), rel=0.3)


@pytest.mark.parametrize(("task", "loss"), [(REGRESSION, "kl"), (CLASSES, "mse"), (BINARY, "mse")])
def test_squared_differences_where_they_are_asked_for_and_always_for_a_regression(task, loss):
    expected = np.square(TEACHER - STUDENT).mean(1)
    np.testing.assert_allclose(soft(task, loss=loss, temperature=9.0), expected, rtol=1e-5)


@pytest.mark.parametrize("task", [CLASSES, BINARY, REGRESSION])
@pytest.mark.parametrize("loss", ["kl", "mse"])
def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn(task, loss):
    same = soft_loss(tf.constant(TEACHER), tf.constant(TEACHER), task, Settings(loss=loss))
    np.testing.assert_allclose(same, 0, atol=1e-5)


def test_hard_labels_are_learned_by_the_loss_that_keras_has_for_them():
    logits, losses = tf.constant(STUDENT), tf_keras.losses
    classes = np.array([0, 1, 2, 0, 2, 1])
    sparse = losses.sparse_categorical_crossentropy(classes, logits, from_logits=True)
    np.testing.assert_allclose(hard_loss(tf.constant(classes), logits, CLASSES), sparse, rtol=1e-4)
    one_hot = tf.constant(np.eye(3)[classes])
    np.testing.assert_allclose(hard_loss(one_hot, logits, CLASSES), sparse, rtol=1e-4)
    binary = losses.binary_crossentropy(one_hot, logits, from_logits=True)
    np.testing.assert_allclose(hard_loss(one_hot, logits, BINARY), binary, rtol=1e-4)
    squares = losses.mean_squared_error(tf.cast(one_hot, tf.float32), logits)
    np.testing.assert_allclose(hard_loss(one_hot, logits, REGRESSION), squares, rtol=1e-4)


def lesson(alpha, task=CLASSES):
    x = tf_keras.Input([3], name="x")
    body = tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(x))
    return Lesson(body, task, Settings(), alpha, {}, None)


def loss_of(alpha, labels=LABELS):
    known = {TARGETS: {"output": TEACHER}, LABEL: tf.constant(labels), HAS_LABEL: tf.constant(HAS)}
    return float(lesson(alpha).compute_loss(None, known, {"output": tf.constant(STUDENT)}))


def test_a_row_without_a_label_counts_its_soft_loss_alone():
    rows = soft(CLASSES).numpy()
    hard = hard_loss(tf.constant(LABELS * HAS), tf.constant(STUDENT), CLASSES).numpy()
    expected = np.where(HAS, 0.3 * hard + 0.7 * rows, rows).mean()
    assert loss_of(0.3) == pytest.approx(expected, rel=1e-4)
    whatever = np.where(HAS, LABELS, 2)
    assert loss_of(0.3, whatever) == pytest.approx(expected, rel=1e-4)


def test_alpha_1_takes_the_mean_over_rows_with_a_label():
    hard = hard_loss(tf.constant(LABELS * HAS), tf.constant(STUDENT), CLASSES).numpy()
    assert loss_of(1.0) == pytest.approx(hard[HAS].mean(), rel=1e-4)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_a_number_that_is_no_label_leaves_gradients_finite(alpha):
    made = lesson(alpha, REGRESSION)
    labels = tf.constant(np.where(HAS[:, None], STUDENT + 1, np.nan).astype(np.float32))
    known = {TARGETS: {"output": TEACHER}, LABEL: labels, HAS_LABEL: tf.constant(HAS)}
    x = {"x": tf.constant(TEACHER)}
    with tf.GradientTape() as tape:
        loss = made.compute_loss(None, known, made(x))
    for gradient in tape.gradient(loss, made.trainable_variables):
        assert np.isfinite(gradient).all()


def test_alpha_0_looks_at_no_label():
    assert loss_of(0.0) == pytest.approx(soft(CLASSES).numpy().mean(), rel=1e-4)


def test_a_layer_of_another_shape_is_compared_through_a_learned_projection():
    x = tf_keras.Input([4, 4, 1], name="x")
    hidden = tf_keras.layers.Conv2D(5, 3, name="wide")(x)
    pooled = tf_keras.layers.GlobalAveragePooling2D(name="flat")(hidden)
    body = tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(pooled))
    pairs = {"same": "wide", "channels": "wide", "any": "flat"}
    shapes = {"same": (2, 2, 5), "channels": (2, 2, 7), "any": (3, 2)}
    settings = Settings(loss="feature", feature_pairs=pairs)
    made = Lesson(body, CLASSES, settings, 0.0, shapes, None)
    answers = made({"x": np.ones([2, 4, 4, 1], np.float32)})
    assert {name: tuple(answers[name].shape[1:]) for name in shapes} == shapes
    # Nothing is between layers of the same shape; both projections are learned.
    assert len(made.trainable_variables) == len(body.trainable_variables) + 4
