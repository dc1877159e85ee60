"""What an activation is, whoever's function stands for it."""

import functools
from typing import Any

import tf_keras


def activation_name(activation: Any) -> str:
    """Returns the name that Keras has for an activation; empty where there is no name.

    TensorFlow's own functions have other names than Keras's: `tf.nn.softmax` is `softmax_v2`.

    Args:
      activation: What a layer holds as its `activation`, or None.
    """
    while isinstance(activation, functools.partial):
        activation = activation.func
    if isinstance(activation, tf_keras.layers.Softmax):
        return "softmax"
    return getattr(activation, "__name__", "").removesuffix("_v2")
