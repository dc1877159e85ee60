"""Handwritten digits: rows, and how a network over them is served."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.pipelines.digits.data import SIDE
from tfx_shrink.pipelines.digits.preprocessing import IMAGE
from tfx_shrink.pipelines.digits.trainer import PROBABILITIES

TEST_ROWS = 540


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Returns images `[1797, 8, 8, 1]` in `[0, 1]` and labels, shuffled; the last rows test."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.target))
    images = (data.images[order, ..., None] / 16).astype(np.float32)
    return images, data.target[order].astype(np.int64)


def make_signatures(model: Any) -> Mapping[str, Any]:
    """Returns what a server answers: raw Examples, or dense images."""

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32, name=IMAGE)])
    def image(image):
        return {PROBABILITIES: model({IMAGE: image}, training=False)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples):
        spec = {IMAGE: tf.io.FixedLenFeature([SIDE, SIDE, 1], tf.float32)}
        return image(tf.io.parse_example(examples, spec)[IMAGE])

    return {"serving_default": serving_default, "image": image}
