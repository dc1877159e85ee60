"""Transform's user code: 64 pixel columns become one image."""

from typing import Any

import tensorflow as tf

from tfx_shrink.pipelines.digits.data import LABEL, PIXELS, SIDE

IMAGE = "image"
_BRIGHTEST = 16.0


def preprocessing_fn(inputs: dict[str, Any]) -> dict[str, Any]:
    """Makes `image` `[rows, 8, 8, 1]` in `[0, 1]` and keeps the label."""
    pixels = tf.concat([inputs[name] for name in PIXELS], axis=1)
    image = tf.reshape(tf.cast(pixels, tf.float32) / _BRIGHTEST, [-1, SIDE, SIDE, 1])
    return {IMAGE: image, LABEL: inputs[LABEL]}
