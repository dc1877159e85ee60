"""Keras models inside SavedModels: loading them, and networks that can be taken apart."""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from tf_keras.protobuf import saved_metadata_pb2

from tfx_shrink.errors import ModelError

_METADATA = "keras_metadata.pb"
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LoadedKeras:
    """A Keras model as it was saved, and its layers as a plain network.

    Attributes:
      model: What Keras loaded, with its signatures. Assign weights here, and save this.
      network: A Functional model over the same layers, without what is merely attached to the
        model, such as a TransformFeaturesLayer.
    """

    model: tf_keras.Model
    network: tf_keras.Model


def load_keras(model_dir: str) -> LoadedKeras:
    """Loads a SavedModel as the Functional or Sequential Keras model that it was.

    Args:
      model_dir: The SavedModel's directory.

    Returns:
      The model, compiled if it was and Keras knows the parts.

    Raises:
      ModelError: It is not such a model; the text says why.
    """
    if not tf.io.gfile.exists(os.path.join(model_dir, _METADATA)):
        raise ModelError(f"it has no Keras metadata ({_METADATA} is missing)")
    try:
        model = _load(model_dir)
    except Exception as error:  # Keras raises whatever a layer's own code raises.
        raise ModelError(f"Keras cannot load it: {_first_line(error)}") from error
    if not isinstance(model, (tf_keras.Sequential, tf_keras.Model)) or not is_graph(model):
        raise ModelError(f"it is no Functional or Sequential Keras model, but {_kind(model)}")
    # Layers that are only attached would belong to `model.layers` too, and TFMOT refuses them.
    return LoadedKeras(model, tf_keras.Model(model.inputs, model.outputs, name=model.name))


def new_optimizer(
    model: tf_keras.Model, learning_rate: float | None = None
) -> tf_keras.optimizers.Optimizer:
    """Returns an optimizer like a model's own, without the slots of its training.

    Args:
      model: A compiled model.
      learning_rate: Another rate. Defaults to None: its own.
    """
    config = model.optimizer.get_config()
    if learning_rate is not None:
        config["learning_rate"] = learning_rate
    return type(model.optimizer).from_config(config)


def save_keras(
    model: tf_keras.Model,
    out_dir: str,
    signatures: Mapping[str, Any],
    *,
    compiled_like: tf_keras.Model,
) -> None:
    """Saves a model so that Keras loads it again, without optimizer slots.

    Args:
      model: The model.
      out_dir: Directory to write.
      signatures: Its signatures.
      compiled_like: Whose loss and kind of optimizer it is to have when it is loaded.
    """
    if compiled_like.optimizer is not None:
        # A new optimizer has no slots yet.
        model.compile(new_optimizer(compiled_like), compiled_like.loss)
    model.save(out_dir, save_format="tf", signatures=dict(signatures))


def _load(model_dir: str) -> Any:
    try:
        return tf_keras.models.load_model(model_dir)
    except (TypeError, ValueError):
        # A loss or metric of its own keeps a model from being compiled, not from being loaded.
        model = tf_keras.models.load_model(model_dir, compile=False)
        # What is restored in place of the optimizer can neither train nor be configured again.
        model.optimizer = None
        _compile_as_saved(model, model_dir)
        return model


def _compile_as_saved(model: tf_keras.Model, model_dir: str) -> None:
    """Compiles a model as it was, without its metrics, if Keras knows its loss and optimizer."""
    metadata = saved_metadata_pb2.SavedMetadata()
    with tf.io.gfile.GFile(os.path.join(model_dir, _METADATA), "rb") as file:
        metadata.ParseFromString(file.read())
    try:
        config = json.loads(metadata.nodes[0].metadata)["training_config"]
        optimizer = tf_keras.optimizers.deserialize(config["optimizer_config"])
        # `compile` would take a name that nobody knows, and fail when it trains.
        model.compile(optimizer, tf_keras.losses.get(config["loss"]))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        _log.warning("What the model was compiled with is not known here: %s", _first_line(error))


def is_graph(model: Any) -> bool:
    """Whether it is a Functional or Sequential model, whose layers Keras can take apart."""
    return bool(getattr(model, "_is_graph_network", False))


def _kind(model: Any) -> str:
    return type(model).__name__ if isinstance(model, tf_keras.Model) else "none at all"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
