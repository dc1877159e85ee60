"""The weights of saved models, as they lie on disk."""

import os

import tensorflow as tf
import tf_keras

from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.weights import list_weights


def read(directory):
    """{name: array} of the float weights that a SavedModel's functions read."""
    return {weight.name: weight.variable.numpy() for weight in list_weights(load(directory))}


def sparsity(array):
    return float((array == 0).mean())


def checkpoint_keys(directory):
    """Names of all that lies in a SavedModel's checkpoint."""
    path = os.path.join(directory, "variables", "variables")
    return [name for name, _ in tf.train.list_variables(path)]


def optimizer_slots(directory):
    """How many slots of an optimizer lie in the checkpoint."""
    return sum("optimizer/_variables" in key for key in checkpoint_keys(directory))


def load_keras(directory):
    """The model as Keras loads it; a plain one fails where Keras's metadata is gone."""
    model = tf_keras.models.load_model(directory)
    assert isinstance(model, tf_keras.Model)
    return model
