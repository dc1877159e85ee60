"""Logits are told from probabilities, and classes from a regression, by what is known for sure."""

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.distiller.outputs import BINARY, CLASSES, REGRESSION, OutputKind, teacher_output
from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.saved_model.functions import get_function, load

WEIGHTS = np.random.RandomState(0).randn(models.WIDTH, 3).astype(np.float32)
ROWS = models.features(20)


def kind(tmp_path, activation, *, width=3, labels=None, saved_loss=None, loss="kl"):
    def serve(x):
        return {"scores": activation(x @ tf.constant(WEIGHTS[:, :width]))}

    directory = models.save_functions(
        tmp_path / "model", serving_default=(serve, {"x": models.spec()})
    )
    function = get_function(load(directory), "serving_default")
    values = function.call_arrays(ROWS)["scores"]
    labels = None if labels is None else np.array(labels)
    return teacher_output(
        function, "scores", values, labels=labels, saved_loss=saved_loss, loss=loss
    )


@pytest.mark.parametrize(
    ("activation", "given", "expected"),
    [
        (tf.nn.softmax, {}, OutputKind(CLASSES, True)),
        (tf.nn.log_softmax, {}, OutputKind(CLASSES, False, logarithms=True)),
        (
            lambda x: x - tf.reduce_logsumexp(x, -1, keepdims=True),
            {"labels": [0, 2, 1]},
            OutputKind(CLASSES, False, logarithms=True),
        ),
        (lambda x: -tf.abs(x), {"labels": [0, 2, 1]}, OutputKind(CLASSES, False)),
        (tf.sigmoid, {"width": 1}, OutputKind(BINARY, True)),
        (tf.sigmoid, {}, OutputKind(BINARY, True)),
        # A softmax that is written by hand.
        (
            lambda x: tf.exp(x) / tf.reduce_sum(tf.exp(x), -1, keepdims=True),
            {},
            OutputKind(CLASSES, True),
        ),
        (tf.identity, {"labels": [0, 2, 1]}, OutputKind(CLASSES, False)),
        (tf.identity, {"labels": np.eye(3)}, OutputKind(CLASSES, False)),
        (tf.identity, {"labels": [[1, 1, 0], [0, 0, 0]]}, OutputKind(BINARY, False)),
        (tf.identity, {"labels": [[1.5, 1, 0], [0, 0, 0]]}, OutputKind(REGRESSION, False)),
        (tf.identity, {"labels": [0, 1], "width": 1}, OutputKind(BINARY, False)),
        (tf.identity, {"labels": [0.5, 7.0], "width": 1}, OutputKind(REGRESSION, False)),
        (
            tf.identity,
            {"saved_loss": "sparse_categorical_crossentropy"},
            OutputKind(CLASSES, False),
        ),
        (tf.identity, {"saved_loss": "binary_crossentropy"}, OutputKind(BINARY, False)),
        (tf.identity, {"saved_loss": "mean_squared_error"}, OutputKind(REGRESSION, False)),
        (tf.identity, {"saved_loss": "BinaryFocalCrossentropy"}, OutputKind(BINARY, False)),
        (tf.identity, {"loss": "mse"}, OutputKind(REGRESSION, False)),
        # A regression of which few rows are labelled, and these with 0 and 1.
        (
            tf.identity,
            {"labels": [0, 1], "width": 1, "saved_loss": "mse"},
            OutputKind(REGRESSION, False),
        ),
        (
            tf.identity,
            {"labels": [-1, 1], "width": 1, "saved_loss": "mse"},
            OutputKind(REGRESSION, False),
        ),
        (
            tf.identity,
            {"labels": [-1, 1], "width": 1, "loss": "mse"},
            OutputKind(REGRESSION, False),
        ),
        # One yes in each of some rows of several answers.
        (
            tf.identity,
            {"labels": np.eye(3), "saved_loss": "binary_crossentropy"},
            OutputKind(BINARY, False),
        ),
        # Negative ones mark rows without a label.
        (tf.identity, {"labels": [-1, 0, 1], "width": 1}, OutputKind(BINARY, False)),
        (tf.identity, {"labels": [-1, 0, 2]}, OutputKind(CLASSES, False)),
        (tf.identity, {"labels": [-1.0, 0.0, 2.0]}, OutputKind(CLASSES, False)),
        (tf.identity, {"labels": [-3, 0, 2], "width": 1}, OutputKind(REGRESSION, False)),
    ],
)
def test_the_graph_decides_then_the_teachers_own_loss_then_labels(
    tmp_path, activation, given, expected
):
    assert kind(tmp_path, activation, **given) == expected


@pytest.mark.parametrize("saved_loss", [None, "hinge", lambda labels, outputs: outputs])
def test_numbers_of_unknown_meaning_are_refused_with_both_remedies(tmp_path, saved_loss):
    with pytest.raises(
        ModelError, match=r"'scores'.*Give labels .*`label_key` or an `input_fn`, or loss='mse'"
    ):
        kind(tmp_path, tf.identity, saved_loss=saved_loss)


@pytest.mark.parametrize(("task", "squash"), [(CLASSES, tf.nn.softmax), (BINARY, tf.sigmoid)])
def test_logits_of_probabilities_give_these_probabilities_again(task, squash):
    logits = tf.random.stateless_normal([8, 3], [1, 2])
    again = OutputKind(task, True).logits(squash(logits))
    np.testing.assert_allclose(squash(again), squash(logits), atol=1e-6)
    sure = tf.constant([[0.0, 1.0, 0.0]])
    assert np.isfinite(OutputKind(task, True).logits(sure)).all()


@pytest.mark.parametrize(
    ("activation", "given"),
    [
        (tf.nn.softmax, {"labels": [0, 3]}),
        (tf.nn.softmax, {"labels": [0, 1.5]}),
        (tf.nn.softmax, {"labels": np.eye(4)}),
        (tf.identity, {"labels": [0, 3]}),
        (tf.identity, {"labels": [0.5, 7.0], "width": 1, "saved_loss": "binary_crossentropy"}),
        (tf.identity, {"labels": [0.5, 1.0], "saved_loss": "categorical_crossentropy"}),
        (tf.identity, {"labels": [0, 1], "saved_loss": "mse"}),
        (tf.sigmoid, {"labels": [0, 2], "width": 1}),
        (tf.sigmoid, {"labels": [0, 1]}),
    ],
)
def test_labels_that_contradict_the_output_are_refused_with_both_sides(tmp_path, activation, given):
    with pytest.raises(ExamplesError, match=r"Labels .*'rows'.*do not fit .*outputs .*'rows', \d"):
        kind(tmp_path, activation, **given)


@pytest.mark.parametrize("saved_loss", [None, "hinge"])
def test_labels_of_minus_1_and_1_tell_nothing(tmp_path, saved_loss):
    given = {"labels": [-1, 1], "width": 1, "saved_loss": saved_loss}
    with pytest.raises(ModelError, match=r"neither a label nor a known loss.*loss='mse'"):
        kind(tmp_path, tf.identity, **given)
