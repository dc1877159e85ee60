"""Channels that an activation mixes stay, whoever's function it is."""

import pytest
import tensorflow as tf
import tf_keras

from tfx_shrink.training.channel_graph import channel_graph

layers = tf_keras.layers


@pytest.mark.parametrize(
    "activation",
    ["softmax", tf.nn.softmax, "log_softmax", tf.nn.log_softmax, layers.Softmax()],
    ids=["name", "function", "log", "log_function", "object"],
)
def test_a_softmax_by_any_name_keeps_its_channels(activation):
    x = tf_keras.Input([4], name="x")
    inside = layers.Dense(5, activation, name="inside")(x)
    after = layers.Dense(6, "relu", name="free")(inside)
    layer = layers.Activation(activation, name="after")(layers.Dense(7, name="before")(after))
    graph = channel_graph(tf_keras.Model(x, layers.Dense(2, name="top")(layer)))
    free = {
        name for group, names in graph.makers.items() if group not in graph.fixed for name in names
    }
    assert free == {"free"}
