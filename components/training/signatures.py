"""Signatures of a model that took the place of another: rebuilt, and proven before they are used.

A model whose layers changed cannot keep the functions that were traced with the old ones. What they
did is done again from the transform graph: parse, transform, predict.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.proof.source import Source, reads_serialized
from tfx_shrink.saved_model.functions import (
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    list_functions,
)
from tfx_shrink.saved_model.parsing import parsed_features

# Two graphs of one network may differ in the last digits.
_CLOSE = {"rtol": 1e-3, "atol": 1e-4}

SignaturesFn = Callable[[tf_keras.Model, Any], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class SignatureBuilder:
    """Builds the signatures of one source model for other networks.

    Attributes:
      source: The model whose signatures are wanted, and rows.
      transform_output: Its `TFTransformOutput`, or None.
      label_key: The label's feature, which a server's requests lack; None if it is not known.
      drop: Names of signatures that need not be kept.
      signatures_fn: User code, `signatures_fn(model, tf_transform_output)`, for what is not known
        here; None if there is none.
    """

    source: Source
    transform_output: Any
    label_key: str | None = None
    drop: Collection[str] = ()
    signatures_fn: SignaturesFn | None = None

    def __post_init__(self) -> None:
        """Checks the names.

        Raises:
          ParameterError: `drop` names a signature that the model does not have.
        """
        if unknown := sorted(set(self.drop) - set(self.source.loaded.signatures)):
            raise ParameterError(
                f"`drop_signatures` must be signatures of the model, which has "
                f"{sorted(self.source.loaded.signatures)}. Received: {unknown}."
            )

    def names(self) -> list[str]:
        """Returns the names of the signatures that are kept."""
        return [name for name in self.source.loaded.signatures if name not in self.drop]

    def build(self, network: tf_keras.Model) -> dict[str, Any]:
        """Returns the kept signatures over a network; what they need is attached to it.

        Args:
          network: A Keras model with the source's inputs and outputs.

        Raises:
          ModelError: One cannot be rebuilt; the text says which, and what to do.
        """
        given = self.signatures_fn(network, self.transform_output) if self.signatures_fn else {}
        if self.transform_output is not None:
            # Attached, so that its tables and constants are saved with the model.
            network.tft_layer = self.transform_output.transform_features_layer()
        functions = {function.name: function for function in list_functions(self.source.loaded)}
        return {
            name: given[name] if name in given else self._signature(functions[name], network)
            for name in self.names()
        }

    def prove(self, network: tf_keras.Model) -> dict[str, str]:
        """Checks that rebuilt signatures answer as the source's do, over the same network.

        Args:
          network: The source's own network, with its weights.

        Returns:
          Why signatures could not be compared, by name.

        Raises:
          ModelError: One cannot be rebuilt, or answers otherwise.
        """
        functions = {function.name: function for function in list_functions(self.source.loaded)}
        unproven = {}
        for name, rebuilt in self.build(network).items():
            function = functions[name]
            try:
                rows = self.source.proof_rows(function)
                expected = run_in_batches(function.call_arrays, rows, function.inputs)
            except (ExamplesError, tf.errors.InvalidArgumentError) as error:
                unproven[name] = str(error).splitlines()[0]
                continue
            call = dataclasses.replace(function, call=_caller(rebuilt)).call_arrays
            actual = run_in_batches(call, rows, function.inputs)
            for output, values in expected.items():
                if output not in actual or not _same(values, actual[output]):
                    raise self._refusal(name, f"its output {output!r} would be another")
        return unproven

    def _signature(self, function: ServedFunction, network: tf_keras.Model) -> Any:
        if reads_serialized(function):
            compute = self._from_examples(function, network)
        else:
            compute = self._from_features(function, network)
        specs = {
            name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
            for name, spec in function.inputs.items()
        }

        @tf.autograph.experimental.do_not_convert
        def serve(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
            return compute(tensors)

        try:
            return tf.function(serve, autograph=False).get_concrete_function(**specs)
        except (KeyError, TypeError, ValueError, tf.errors.OpError) as error:
            raise self._refusal(function.name, str(error).splitlines()[0]) from error

    def _from_examples(self, function: ServedFunction, network: tf_keras.Model) -> Callable:
        if self.transform_output is None:
            raise self._refusal(
                function.name, "it reads raw Examples, and there is no transform graph"
            )
        layer = network.tft_layer
        spec = self.transform_output.raw_feature_spec()
        parsed = parsed_features(function) or spec.keys() - {self.label_key}
        spec = {name: feature for name, feature in spec.items() if name in parsed}
        (argument,) = function.inputs

        def compute(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            features = layer(tf.io.parse_example(tensors[argument], spec))
            if function.name in PREPROCESSING_SIGNATURES:
                return {name: features[name] for name in function.outputs}
            return self._predict(function, network, features)

        return compute

    def _from_features(self, function: ServedFunction, network: tf_keras.Model) -> Callable:
        transformed = set(network.input_names) <= function.inputs.keys()
        if not transformed and self.transform_output is None:
            raise self._refusal(
                function.name,
                f"it reads {sorted(function.inputs)}, the network reads "
                f"{sorted(network.input_names)}, and there is no transform graph",
            )

        def compute(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            features = tensors if transformed else network.tft_layer(dict(tensors))
            return self._predict(function, network, features)

        return compute

    def _predict(
        self, function: ServedFunction, network: tf_keras.Model, features: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        outputs = network({name: features[name] for name in network.input_names}, training=False)
        values = tf.nest.flatten(outputs)
        names = sorted(function.outputs)
        if len(values) == len(names) == 1:
            return {names[0]: values[0]}
        by_name = dict(zip(network.output_names, values, strict=True))
        if names != sorted(by_name):
            raise self._refusal(
                function.name, f"it gives {names}, and the network gives {sorted(by_name)}"
            )
        return by_name

    def _refusal(self, name: str, reason: str) -> ModelError:
        return ModelError(
            f"Signature {name!r} cannot be rebuilt: {reason}. Give user code with a "
            "`signatures_fn(model, tf_transform_output)` that returns it, or name it in "
            "`drop_signatures`."
        )


def _caller(signature: Any) -> Callable[[Mapping[str, tf.Tensor]], dict[str, tf.Tensor]]:
    """Calls a signature of any making by keywords, or by its one argument."""

    def call(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        if isinstance(signature, tf.types.experimental.ConcreteFunction):
            return dict(signature(**tensors))
        if len(tensors) == 1:
            return dict(signature(*tensors.values()))
        return dict(signature(**tensors))

    return call


def _same(expected: np.ndarray, actual: np.ndarray) -> bool:
    if expected.shape != actual.shape:
        return False
    if np.issubdtype(expected.dtype, np.floating):
        return bool(np.allclose(expected, actual, equal_nan=True, **_CLOSE))
    return bool(np.array_equal(expected, actual))
