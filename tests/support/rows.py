"""Writes tf.Examples into TFRecord files."""

import os

import numpy as np
import tensorflow as tf


def example(**values):
    """One serialized tf.Example; a value is a scalar or a list, and None leaves its feature out."""
    features = {name: _feature(value) for name, value in values.items() if value is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def examples(features):
    """Serialized tf.Examples of {name: array [rows, ...]}."""
    count = len(next(iter(features.values())))
    return [
        example(**{name: values[index] for name, values in features.items()})
        for index in range(count)
    ]


def write(path, features, gzip=False):
    """Writes {name: array [rows, ...]} to a TFRecord file; returns its path."""
    return write_serialized(path, examples(features), gzip)


def write_serialized(path, serialized, gzip=False):
    """Writes serialized tf.Examples to a TFRecord file; returns its path."""
    path = str(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path, "GZIP" if gzip else None) as writer:
        for row in serialized:
            writer.write(row)
    return path


def _feature(value):
    array = np.asarray(value).reshape(-1)
    if array.dtype.kind in "iub":
        integers = array.astype(np.int64)  # protobuf 6 takes no booleans of numpy 2
        return tf.train.Feature(int64_list=tf.train.Int64List(value=integers))
    if array.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=array))
    texts = [item.encode() if isinstance(item, str) else item for item in array.tolist()]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=texts))
