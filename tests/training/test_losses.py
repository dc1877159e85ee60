"""The loss that a label and an output call for, and never a softmax of a softmax."""

import numpy as np
import pytest
import tf_keras

from tfx_shrink.errors import ParameterError, UntrainableError
from tfx_shrink.training.losses import check_loss_name, infer_loss, named_loss, task_of_loss

RANDOM = np.random.RandomState(0)
LOGITS = RANDOM.randn(8, 3).astype(np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
ONE = RANDOM.randn(8, 1).astype(np.float32)
CLASSES = np.array([0, 1, 2, 1, 0, 2, 1, 1])
YES_NO = CLASSES % 2


@pytest.mark.parametrize(
    ("outputs", "labels", "probabilities", "name"),
    [
        (LOGITS, CLASSES, False, "sparse_categorical_crossentropy"),
        (PROBABILITIES, CLASSES.astype(np.float32), True, "sparse_categorical_crossentropy"),
        (PROBABILITIES, np.eye(3)[CLASSES], True, "categorical_crossentropy"),
        (ONE, YES_NO, False, "binary_crossentropy"),
        (1 / (1 + np.exp(-ONE)), YES_NO.astype(np.float32), True, "binary_crossentropy"),
        (ONE, ONE[:, 0] * 3, False, "mean_squared_error"),
        (LOGITS, LOGITS * 2, False, "mean_squared_error"),
    ],
)
def test_a_loss_follows_from_label_and_output(outputs, labels, probabilities, name):
    assert infer_loss(outputs, labels, probabilities) == name


@pytest.mark.parametrize(
    ("outputs", "labels", "probabilities"),
    [
        (LOGITS, CLASSES + 1, False),  # Class 3 of three.
        (LOGITS, CLASSES - 1, False),
        (LOGITS, ONE[:, 0], False),
        (ONE, YES_NO.astype(np.float32), False),  # A logit, or a value near 0 and 1?
        (1 / (1 + np.exp(-ONE)), ONE[:, 0], True),
        (LOGITS, np.zeros((8, 2)), False),
    ],
)
def test_where_none_follows_both_sides_and_the_remedy_are_named(outputs, labels, probabilities):
    with pytest.raises(UntrainableError, match=r"labels .*outputs .*`loss`.*`compile_fn`"):
        infer_loss(outputs, labels, probabilities)


def test_probabilities_are_not_put_through_a_softmax_again():
    from_logits = named_loss("sparse_categorical_crossentropy", probabilities=False)
    from_probabilities = named_loss("sparse_categorical_crossentropy", probabilities=True)
    expected = -np.log(PROBABILITIES[np.arange(8), CLASSES]).mean()
    assert float(from_logits(CLASSES, LOGITS)) == pytest.approx(expected, rel=1e-5)
    assert float(from_probabilities(CLASSES, PROBABILITIES)) == pytest.approx(expected, rel=1e-5)


def test_an_unknown_loss_is_refused():
    check_loss_name("mse")
    with pytest.raises(ParameterError, match="loss='crossentropy'"):
        check_loss_name("crossentropy")


@pytest.mark.parametrize("probabilities", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "sparse_categorical_crossentropy",
        "SparseCategoricalCrossentropy",
        "CategoricalFocalCrossentropy",
        "binary_focal_crossentropy",
    ],
)
def test_a_cross_entropy_by_any_of_its_names_is_told_what_the_output_is(name, probabilities):
    assert named_loss(name, probabilities).get_config()["from_logits"] is not probabilities


class Mine(tf_keras.losses.BinaryCrossentropy):
    """Of a user, who may do with logits what they like."""


def binary_crossentropy(labels, outputs):
    """Of a user who took Keras's name."""
    return outputs


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        ("sparse_categorical_crossentropy", "classes"),
        ("SparseCategoricalCrossentropy", "classes"),
        ("categorical_focal_crossentropy", "classes"),
        (tf_keras.losses.CategoricalFocalCrossentropy(name="mine"), "classes"),
        (tf_keras.losses.BinaryFocalCrossentropy(), "binary"),
        (tf_keras.losses.binary_focal_crossentropy, "binary"),
        ("mse", "regression"),
        ("MSE", "regression"),
        ("logcosh", "regression"),
        (tf_keras.losses.Huber(), "regression"),
        (tf_keras.losses.mean_absolute_error, "regression"),
        ("hinge", None),
        (tf_keras.losses.KLDivergence(), None),
        ("no_such_loss", None),
        (Mine(), None),
        (binary_crossentropy, None),
        (lambda labels, outputs: outputs, None),
        ({"a": "mse", "b": "mse"}, None),
        (None, None),
    ],
)
def test_what_is_predicted_follows_from_losses_that_are_known_alone(loss, task):
    assert task_of_loss(loss) == task
