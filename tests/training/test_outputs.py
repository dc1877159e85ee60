"""Probabilities are told from logits by the graph, and by the values where it does not say."""

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.errors import UntrainableError
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.training.outputs import gives_probabilities, single_output

WEIGHTS = np.random.RandomState(0).randn(models.WIDTH, 3).astype(np.float32)


def by_hand(logits):
    exponentials = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
    return exponentials / tf.reduce_sum(exponentials, -1, keepdims=True)


@pytest.mark.parametrize(
    ("activation", "width", "probabilities"),
    [
        (tf.nn.softmax, 3, True),
        (tf.nn.sigmoid, 1, True),
        (tf.nn.sigmoid, 3, True),  # Several answers of yes or no.
        (by_hand, 3, True),
        (tf.identity, 3, False),
        (tf.nn.relu, 3, False),
        (lambda logits: tf.nn.log_softmax(logits), 3, False),
    ],
)
def test_probabilities_and_logits_are_told_apart(tmp_path, activation, width, probabilities):
    inputs = {"x": models.spec()}
    directory = models.save_functions(
        tmp_path / "model", scores=(lambda x: {"y": activation(x @ WEIGHTS[:, :width])}, inputs)
    )
    loaded = load(directory)
    function = get_function(loaded, "scores")
    values = function.call_arrays(models.features(32))["y"]
    assert gives_probabilities(function, "y", values) == probabilities


def test_several_outputs_need_a_compile_fn(tmp_path):
    directory = models.save_functions(
        tmp_path / "model", two=(lambda x: {"a": x, "b": 2 * x}, {"x": models.spec()})
    )
    loaded = load(directory)
    with pytest.raises(UntrainableError, match=r"\['a', 'b'\].*`compile_fn`"):
        single_output(get_function(loaded, "two"))
