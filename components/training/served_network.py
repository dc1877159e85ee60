"""A SavedModel's own function as a Keras model, so that Keras trains what Keras did not save."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.saved_model.functions import ServedFunction


class ServedNetwork(tf_keras.Model):
    """Trains the variables of a loaded SavedModel through one of its functions.

    Args:
      loaded: The SavedModel, which lives as long as this.
      inference: Its function, from features by name to outputs by name.
      training: The same in training mode, or None where the model was saved without one.
      variables: What to train.
    """

    def __init__(
        self,
        loaded: Any,
        inference: ServedFunction,
        training: ServedFunction | None,
        variables: Sequence[tf.Variable],
    ):
        super().__init__(name="served")
        self._inference, self._training = inference, training or inference
        # Out of Keras's sight, which would track all of it.
        self._keep_alive = lambda: loaded
        # Keras finds variables in attributes.
        self.trained = list(variables)

    @tf.autograph.experimental.do_not_convert
    def call(self, features: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the output; a mapping where there are several."""
        function = self._training if training else self._inference
        outputs = function.call({name: features[name] for name in function.inputs})
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs
