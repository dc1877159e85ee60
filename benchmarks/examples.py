"""Columns as tf.Examples."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def write_rows(path: str, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> list[bytes]:
    """Writes rows as TFRecords of tf.Examples.

    Args:
      path: The file; its directory is made.
      columns: `[rows, ...]` by feature name: texts, whole numbers or others.

    Returns:
      The rows, serialized.
    """
    rows = [
        tf.train.Example(
            features=tf.train.Features(
                feature=dict(zip(columns, map(_feature, values), strict=True))
            )
        ).SerializeToString()
        for values in zip(*columns.values(), strict=True)
    ]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for row in rows:
            writer.write(row)
    return rows


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    array = np.ravel(value)
    if np.issubdtype(array.dtype, np.integer):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=array))
    return tf.train.Feature(float_list=tf.train.FloatList(value=array))
