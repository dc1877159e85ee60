"""A SavedModel opened for other weights, and saved again as what it was."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfx_shrink.errors import ModelError
from tfx_shrink.saved_model.functions import list_functions, load, training_function
from tfx_shrink.saved_model.weights import Weight, list_weights
from tfx_shrink.training.keras_models import LoadedKeras, load_keras, save_keras


@dataclasses.dataclass(frozen=True)
class AssignableModel:
    """A model whose weights may be assigned.

    Attributes:
      model_dir: The SavedModel's directory.
      loaded: The model as `tf.saved_model.load` gives it.
      keras: The same as Keras loads it; None where Keras cannot.
      why_not_keras: Why it cannot; None where it can.
      weights: The float weights that its functions read.
      variables: Where to assign a weight, by its name.
    """

    model_dir: str
    loaded: Any
    keras: LoadedKeras | None
    why_not_keras: str | None
    weights: list[Weight]
    variables: Mapping[str, tf.Variable]

    def save(self, out_dir: str) -> None:
        """Saves the model with its signatures, tables and call function, without optimizer slots.

        A model that Keras loaded can be loaded by Keras again.

        Args:
          out_dir: Directory to write.
        """
        if self.keras is not None:
            model = self.keras.model
            save_keras(model, out_dir, dict(model.signatures), compiled_like=model)
            return
        for name in _only_for_training(self.loaded):
            delattr(self.loaded, name)
        tf.saved_model.save(self.loaded, out_dir, signatures=dict(self.loaded.signatures))


def open_assignable(model_dir: str) -> AssignableModel:
    """Opens a SavedModel of any origin.

    Args:
      model_dir: Its directory.

    Returns:
      The model, through Keras where Keras knows all of its weights.

    Raises:
      ModelError: There is no SavedModel in `model_dir`.
    """
    loaded = load(model_dir)
    weights = list_weights(loaded)
    served = {weight.name: weight.variable for weight in weights}
    try:
        keras = load_keras(model_dir)
        known = {variable.name.split(":")[0]: variable for variable in keras.network.weights}
        if len(known) < len(keras.network.weights):
            raise ModelError("several of its weights have one name")
        if missing := sorted(served.keys() - known.keys()):
            raise ModelError(f"its functions read weights that are in no layer: {missing}")
    except ModelError as error:
        return AssignableModel(model_dir, loaded, None, str(error), weights, served)
    variables = {name: known[name] for name in served}
    return AssignableModel(model_dir, loaded, keras, None, weights, variables)


def _only_for_training(loaded: Any) -> list[str]:
    """Attributes of a model that its functions do not read: the optimizer, lists of variables.

    Keras 3 exports a second copy of every variable in such a list
    (`ExportArchive._filter_and_track_resources` in keras/src/export/saved_model.py).
    """
    functions = [function.concrete for function in list_functions(loaded)]
    if (training := training_function(loaded)) is not None:
        functions.append(training.concrete)
    for value in vars(loaded).values():
        functions += getattr(value, "concrete_functions", [])
    read = {id(variable.handle) for function in functions for variable in function.variables}
    lists = [
        name
        for name, value in vars(loaded).items()
        if isinstance(value, list)
        and value
        and all(isinstance(item, tf.Variable) and id(item.handle) not in read for item in value)
    ]
    return [*lists, *(name for name in vars(loaded) if name == "optimizer")]
