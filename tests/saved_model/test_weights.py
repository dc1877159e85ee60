"""What a model uses its weights for is read off the graph, and not guessed from names."""

import numpy as np
import tensorflow as tf
import tf_keras
from support import models

from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.weights import counterparts, list_weights

layers = tf_keras.layers


def uses(directory):
    return {weight.name: weight.use for weight in list_weights(load(directory))}


def test_uses_are_found_through_nested_functions(tmp_path):
    image = tf_keras.Input([8, 8, 3], name="image")
    word = tf_keras.Input([], dtype=tf.int64, name="word")
    hidden = layers.Conv2D(4, 3, name="conv")(image)
    hidden = layers.DepthwiseConv2D(3, name="depthwise")(hidden)
    hidden = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="norm")(hidden))
    hidden = layers.Concatenate()([hidden, layers.Embedding(10, 4, name="words")(word)])
    model = tf_keras.Model([image, word], layers.Dense(3, name="dense")(hidden))
    model.save(str(tmp_path / "model"), save_format="tf")
    found = uses(str(tmp_path / "model"))
    assert found["conv/kernel"] == "convolution"
    assert found["depthwise/depthwise_kernel"] == "depthwise"
    assert found["words/embeddings"] == "embedding"
    assert found["dense/kernel"] == "matrix"
    others = {name for name, use in found.items() if use == "other"}
    assert {"conv/bias", "dense/bias", "norm/gamma", "norm/moving_mean"} <= others


def test_a_recurrent_layer_multiplies_inside_a_loop(tmp_path):
    x = tf_keras.Input([5, 3], name="x")
    model = tf_keras.Model(x, layers.RNN(layers.LSTMCell(4), name="rnn")(x))
    model.save(str(tmp_path / "model"), save_format="tf")
    kernels = {use for name, use in uses(str(tmp_path / "model")).items() if "kernel" in name}
    assert kernels == {"matrix"}


def test_weights_of_one_name_are_numbered(tmp_path):
    module = tf.Module()
    module.both = [tf.Variable(tf.ones([4, 4]), name="w") for _ in range(2)]

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def serve(x):
        return {"y": x @ module.both[0] @ module.both[1]}

    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serve": serve})
    assert list(uses(str(tmp_path / "model"))) == ["w", "w_2"]


def test_a_model_that_is_loaded_twice_has_the_same_variables_in_the_same_places(saved):
    one, other = load(saved("keras")), load(saved("keras"))
    found = counterparts(one, other)
    for weight, again in zip(list_weights(one), list_weights(other), strict=True):
        assert found[id(weight.variable)] is again.variable


def test_the_names_are_those_that_keras_gave(saved):
    names = [name for name in uses(saved("keras")) if name.endswith("kernel")]
    assert names == ["dense/kernel", "dense_1/kernel", "probabilities/kernel"]
    (kernel,) = (
        weight.variable
        for weight in list_weights(load(saved("keras")))
        if weight.name == "dense/kernel"
    )
    assert np.shape(kernel) == (models.WIDTH, 128)
