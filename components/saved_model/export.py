"""One function of a loaded model as a SavedModel of its own."""

from typing import Any

import tensorflow as tf

from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.saved_model.functions import ServedFunction
from tfx_shrink.saved_model.strip import resources_of


def export_function(function: ServedFunction, loaded: Any, out_dir: str) -> dict[str, str]:
    """Saves a function as the one signature `serving_default`.

    Args:
      function: The function.
      loaded: Its model, as `functions.load` returned it; its tables go along.
      out_dir: Directory to write.

    Returns:
      The function's input names by the names that the signature gives them: feature names need not
      be names that TensorFlow can give to a tensor.
    """
    names = {f"input_{number}": name for number, name in enumerate(function.inputs)}
    specs = {
        key: tf.TensorSpec(function.inputs[name].shape, function.inputs[name].dtype, name=key)
        for key, name in names.items()
    }
    module = tf.Module()
    module.weights = list(function.concrete.variables)
    module.resources = resources_of(loaded)
    module.served = tf.function(
        lambda **tensors: function.call({names[key]: value for key, value in tensors.items()}),
        autograph=False,
    )
    tf.saved_model.save(
        module, out_dir, signatures={SERVING_DEFAULT: module.served.get_concrete_function(**specs)}
    )
    return names
