"""The functions of a SavedModel: its signatures, and the call function of the model itself."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.model_files import SERVING_DEFAULT, TFLITE_FILES

CALL_FUNCTION = "__call__"

# Signatures that prepare rows and predict nothing: the first is the TFX templates' name, the
# others are the names that TFMA looks for (tensorflow_model_analysis/constants.py).
PREPROCESSING_SIGNATURES = ("transform_features", "transformed_features", "transformed_labels")


@dataclasses.dataclass(frozen=True)
class ServedFunction:
    """One function of a loaded SavedModel, from named tensors to named tensors.

    Attributes:
      name: The signature's name, or `CALL_FUNCTION` for the model's own call function.
      inputs: Type of every input, by the name of the feature it reads.
      outputs: Type of every output, by name.
      concrete: The traced function, for looking at its graph.
      call: Runs it: `{input name: tensor} -> {output name: tensor}`, in inference mode.
    """

    name: str
    inputs: Mapping[str, tf.TypeSpec]
    outputs: Mapping[str, tf.TensorSpec]
    concrete: Any
    call: Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]

    def call_arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs it on arrays by input name and returns arrays by output name."""
        tensors = {name: tf.constant(arrays[name], self.inputs[name].dtype) for name in arrays}
        return {name: value.numpy() for name, value in self.call(tensors).items()}


def load(model_dir: str) -> Any:
    """Loads a SavedModel.

    Args:
      model_dir: The directory that holds `saved_model.pb`.

    Returns:
      What `tf.saved_model.load` returns. Keep it as long as any of its functions is used.

    Raises:
      ModelError: There is no SavedModel in `model_dir`.
    """
    if tf.saved_model.contains_saved_model(model_dir):
        return tf.saved_model.load(model_dir)
    if any(tf.io.gfile.exists(os.path.join(model_dir, name)) for name in TFLITE_FILES):
        raise ModelError(
            f"{model_dir} holds a TFLite model, which can be neither quantized, pruned nor "
            "trained again. Give the SavedModel that it was made from: prune before quantizing."
        )
    absence = "is a file" if tf.io.gfile.exists(model_dir) else "does not exist"
    found = sorted(tf.io.gfile.listdir(model_dir)) if tf.io.gfile.isdir(model_dir) else None
    raise ModelError(
        f"{model_dir} holds no SavedModel: saved_model.pb is missing. "
        + (f"It holds {found}." if found is not None else f"The directory {absence}.")
        + " Give the directory that its files lie in, such as a version's or Format-Serving."
    )


def list_functions(loaded: Any) -> list[ServedFunction]:
    """Lists what a SavedModel can be asked: its signatures, then its own call function.

    Models as public TFX module files save them have no signature over dense tensors; their call
    function has, named as the transformed features are.

    Args:
      loaded: A model as `load` returned it.

    Returns:
      `serving_default` first, the other signatures by name, `CALL_FUNCTION` last if there is one.
    """
    names = sorted(loaded.signatures, key=lambda name: (name != SERVING_DEFAULT, name))
    functions = [_signature(name, loaded.signatures[name]) for name in names]
    call = _call_function(loaded)
    return functions if call is None else [*functions, call]


def get_function(loaded: Any, name: str) -> ServedFunction:
    """Returns the function called `name`.

    Raises:
      ParameterError: The model has no such function; the text lists those it has.
    """
    functions = {function.name: function for function in list_functions(loaded)}
    if name not in functions:
        raise ParameterError(
            f"`signature_name` must be one of {list(functions)}. Received: signature_name={name!r}."
        )
    return functions[name]


def _signature(name: str, concrete: Any) -> ServedFunction:
    return ServedFunction(
        name=name,
        inputs=dict(concrete.structured_input_signature[1]),
        outputs=dict(concrete.structured_outputs),
        concrete=concrete,
        call=lambda tensors: dict(concrete(**tensors)),
    )


def training_function(loaded: Any) -> ServedFunction | None:
    """Returns the model's own call function in training mode, if it was saved with one.

    In training mode dropout drops and batch normalization takes its statistics from the batch.

    Args:
      loaded: A model as `load` returned it.
    """
    return _call_function(loaded, training=True)


def _call_function(loaded: Any, training: bool = False) -> ServedFunction | None:
    """A trace of the model's own call function, if its inputs have names."""
    # Keras saves the first of these with its outputs named after the output layers.
    for attribute in ("_default_save_signature", CALL_FUNCTION):
        function = getattr(loaded, attribute, None)
        for concrete in getattr(function, "concrete_functions", [function] if function else []):
            arguments, keywords = concrete.structured_input_signature
            set_values = [value for value in (*arguments[1:], *keywords.values()) if value]
            if not arguments or set_values != ([True] if training else []):
                continue  # A trace for the other mode, or one that needs more than the features.
            inputs = _input_specs(arguments[0])
            outputs = _output_specs(concrete.structured_outputs, loaded)
            if inputs and outputs:
                call = _caller(function, arguments, keywords, list(outputs))
                return ServedFunction(CALL_FUNCTION, inputs, outputs, concrete, call)
    return None


def _input_specs(features: Any) -> dict[str, tf.TypeSpec]:
    """Types by name; empty where an input has no name to find its feature by."""
    if isinstance(features, Mapping):
        return dict(sorted(features.items()))
    specs = features if isinstance(features, (list, tuple)) else [features]
    named = {spec.name: spec for spec in specs if getattr(spec, "name", None)}
    return named if len(named) == len(specs) else {}


def _output_specs(outputs: Any, loaded: Any) -> dict[str, tf.TensorSpec]:
    """Types by name; empty where an output has no name."""
    if isinstance(outputs, tf.TensorSpec):
        outputs = {"outputs": outputs}
    if not isinstance(outputs, Mapping):
        return {}
    serving = loaded.signatures.get(SERVING_DEFAULT)
    if serving is not None and len(outputs) == 1 and len(serving.structured_outputs) == 1:
        # Clients of the raw-Example signature find the same answer under the same name.
        return dict(zip(serving.structured_outputs, outputs.values(), strict=True))
    return dict(sorted(outputs.items()))


def _caller(
    function: Any, arguments: tuple, keywords: Mapping[str, Any], output_names: list[str]
) -> Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    template, rest = arguments[0], arguments[1:]

    def call(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if isinstance(template, Mapping):
            features: Any = {name: tensors[name] for name in template}
        elif isinstance(template, (list, tuple)):
            features = type(template)(tensors[spec.name] for spec in template)
        else:
            features = tensors[template.name]
        outputs = function(features, *rest, **keywords)
        if not isinstance(outputs, Mapping):
            return {output_names[0]: outputs}
        return dict(zip(output_names, (outputs[key] for key in sorted(outputs)), strict=True))

    return call
