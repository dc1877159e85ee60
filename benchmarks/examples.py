"""Images as tf.Examples."""

import os

import numpy as np
import tensorflow as tf

from tfx_shrink.pipelines.digits.data import LABEL
from tfx_shrink.pipelines.digits.preprocessing import IMAGE


def write_rows(path: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Writes rows as TFRecords of tf.Examples."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for image, label in zip(images, labels, strict=True):
            features = {
                IMAGE: tf.train.Feature(float_list=tf.train.FloatList(value=image.ravel())),
                LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
