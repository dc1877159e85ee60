"""Giving a model a loss and an optimizer: the user's, its own, or what the label calls for."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tf_keras

from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.training.keras_models import new_optimizer
from tfx_shrink.training.losses import infer_loss, named_loss
from tfx_shrink.training.outputs import gives_probabilities, single_output

_LEARNING_RATE = 1e-3
_INFERRED = "inferred from label and output"


@dataclasses.dataclass(frozen=True)
class Compiled:
    """What a model was compiled with.

    Attributes:
      loss: The loss's name.
      optimizer: The optimizer's name.
      origin: Who chose the loss: `"compile_fn"`, `"parameter"`, `"saved with the model"` or
        `"inferred from label and output"`.
    """

    loss: str
    optimizer: str
    origin: str


def compile_network(
    network: tf_keras.Model,
    batches: Sequence[tuple[Any, Any]],
    function: ServedFunction,
    *,
    saved: tf_keras.Model | None = None,
    compile_fn: Callable[[tf_keras.Model], None] | None = None,
    loss: str | None = None,
    learning_rate: float | None = None,
) -> Compiled:
    """Compiles a network for training.

    Args:
      network: The model to train.
      batches: Features and labels of enough rows to tell what output and label are.
      function: The function of the SavedModel that computes what the network computes.
      saved: The Keras model as it was loaded, with what it was compiled with. Defaults to None.
      compile_fn: The user's own `compile_fn(model)`. Defaults to None.
      loss: Name of a Keras loss. Defaults to None: the model's own, else what the label calls for.
      learning_rate: Defaults to None: that of the model's own optimizer, else 0.001.

    Returns:
      What was chosen.

    Raises:
      UntrainableError: No loss follows from label and output.
    """
    if compile_fn is not None:
        compile_fn(network)
        return Compiled(_name(network.loss), _name(network.optimizer), "compile_fn")
    if saved is not None and saved.optimizer is not None:
        optimizer = new_optimizer(saved, learning_rate)
    else:
        optimizer = tf_keras.optimizers.Adam(learning_rate or _LEARNING_RATE)
    own = getattr(saved, "loss", None)
    if loss is None and own:
        network.compile(optimizer, own)
        return Compiled(_name(own), _name(optimizer), "saved with the model")
    output = single_output(function)
    values = np.concatenate(
        [
            function.call({name: features[name] for name in function.inputs})[output].numpy()
            for features, _ in batches
        ]
    )
    labels = np.concatenate([np.asarray(label) for _, label in batches])
    probabilities = gives_probabilities(function, output, values)
    origin = "parameter"
    if loss is None:
        loss, origin = infer_loss(values, labels, probabilities), _INFERRED
    network.compile(optimizer, named_loss(loss, probabilities))
    return Compiled(loss, _name(optimizer), origin)


def _name(item: Any) -> str:
    if isinstance(item, str):
        return item
    return getattr(item, "name", None) or getattr(item, "__name__", None) or type(item).__name__
