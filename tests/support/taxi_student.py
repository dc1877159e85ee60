"""A student for TFX's taxi template: over its dense features alone."""

import tf_keras
from tfx.experimental.templates.taxi.models import features


def student_fn(fn_args):
    assert fn_args.train_files
    assert fn_args.transform_graph_path
    names = [features.transformed_name(key) for key in features.DENSE_FLOAT_FEATURE_KEYS]
    inputs = [tf_keras.Input([1], name=name) for name in names]
    hidden = tf_keras.layers.Dense(8, "relu")(tf_keras.layers.concatenate(inputs))
    return tf_keras.Model(inputs, tf_keras.layers.Dense(1, "sigmoid")(hidden))
