"""Distiller's user code: a network of a twenty-fifth of the Trainer's weights."""

from typing import Any

import tf_keras

from tfx_shrink.pipelines.digits.data import SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE


def student_fn(fn_args: Any) -> tf_keras.Model:
    """Returns the student: `image` `[rows, 8, 8, 1]` to ten logits."""
    x = image = tf_keras.Input((SIDE, SIDE, 1), name=IMAGE)
    for filters in (16, 32):
        x = tf_keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = tf_keras.layers.MaxPooling2D()(x)
    return tf_keras.Model(image, tf_keras.layers.Dense(10)(tf_keras.layers.Flatten()(x)))
