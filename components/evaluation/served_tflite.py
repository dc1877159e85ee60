"""A TFLite file that reads like a loaded SavedModel, so that TFMA's own code does the rest."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma

from tfx_shrink.errors import ModelError
from tfx_shrink.tflite.interpreter import TFLiteModel

# One string input of a name that no feature has makes TFMA pass serialized rows. By feature name it
# would pass raw values where a transform keeps the names of its inputs.
_SERIALIZED = "__serialized_examples__"

_Step = Callable[[tf.Tensor], Mapping[str, Any]]


class ServedTFLiteLoader:
    """Makes a `ServedTFLite` on a worker; only loaders and names travel there.

    Args:
      tflite_loader: TFMA's loader of the TFLite file.
      baseline_loader: TFMA's loader of the baseline SavedModel, or None.
      signature_name: The name under which the wrapped model is called.
      preprocessing: Signatures or attributes of the baseline that transform raw rows, in order.
    """

    def __init__(
        self,
        tflite_loader: tfma.types.ModelLoader,
        baseline_loader: tfma.types.ModelLoader | None,
        signature_name: str,
        preprocessing: list[str],
    ):
        self._tflite_loader = tflite_loader
        self._baseline_loader = baseline_loader
        self._signature_name = signature_name
        self._preprocessing = preprocessing

    def __call__(self) -> "ServedTFLite":
        """Loads both models."""
        baseline = self._baseline_loader.load() if self._baseline_loader else None
        # TFMA keeps the bytes of a TFLite file in `.contents`.
        content = self._tflite_loader.load().contents
        return ServedTFLite(content, baseline, self._signature_name, self._preprocessing)


class ServedTFLite:
    """What TFMA asks of a loaded SavedModel: `signatures`, here the baseline's and one more."""

    def __init__(
        self, content: bytes, baseline: Any, signature_name: str, preprocessing: list[str]
    ):
        self._baseline = baseline  # Its functions die with it.
        steps = {name: _preprocessing_step(baseline, name) for name in preprocessing}
        self.signatures = {
            **(baseline.signatures if baseline is not None else {}),
            **steps,
            signature_name: _Signature(TFLiteModel(content), list(steps.values())),
        }


class _Signature:
    def __init__(self, model: TFLiteModel, steps: list[_Step]):
        self._model, self._steps = model, steps
        specs = (
            {_SERIALIZED: tf.TensorSpec([None], tf.string)}
            if steps
            else {
                name: tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
                for name, spec in model.features.items()
            }
        )
        self.structured_input_signature = ((), specs)

    def __call__(
        self, examples: tf.Tensor | None = None, **features: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if examples is not None and not self._steps:
            raise ModelError(
                f"The rows lack some of the features {sorted(self._model.inputs)} that the TFLite "
                "model reads. For raw Examples set preprocessing_function_names="
                "['transform_features'] in the ModelSpec and give the Evaluator a baseline_model."
            )
        values: dict[str, Any] = dict(features)
        for step in self._steps:
            values.update(step(examples))
        outputs = self._model({name: _dense(value) for name, value in values.items()})
        return {name: tf.constant(value) for name, value in outputs.items()}


def _preprocessing_step(baseline: Any, name: str) -> _Step:
    """How the baseline transforms serialized rows: by a signature, or by an attached layer."""
    if name in baseline.signatures:
        return baseline.signatures[name]
    layer = getattr(baseline, name, None)
    raw_spec = _raw_features(layer)
    if raw_spec is None:
        layers = [key for key, value in vars(baseline).items() if _raw_features(value) is not None]
        raise ModelError(
            f"preprocessing_function_names={name!r} is neither a signature of the baseline model, "
            f"which has {sorted(baseline.signatures)}, nor one of its Keras layers over raw "
            f"features, {layers}. Name one that transforms rows; or have the Trainer save a "
            "signature 'transform_features'; or give transformed examples and no "
            "preprocessing_function_names."
        )
    return _LayerStep(layer, {key: _feature(spec) for key, spec in raw_spec.items()})


def _raw_features(layer: Any) -> Mapping[str, Any] | None:
    """What a Keras layer over features by name was saved with; None of anything else."""
    saved = layer.save_spec() if hasattr(layer, "save_spec") else None
    return saved[0][0] if saved and isinstance(saved[0][0], Mapping) else None


class _LayerStep:
    """A TransformFeaturesLayer that reads serialized rows."""

    structured_input_signature = ((), {_SERIALIZED: tf.TensorSpec([None], tf.string)})

    def __init__(self, layer: Any, raw_spec: Mapping[str, Any]):
        self._layer, self._raw_spec = layer, raw_spec

    def __call__(self, examples: tf.Tensor) -> Mapping[str, Any]:
        return self._layer(tf.io.parse_example(examples, self._raw_spec))


def _feature(spec: tf.TypeSpec) -> Any:
    if isinstance(spec, tf.SparseTensorSpec):
        return tf.io.VarLenFeature(spec.dtype)
    if isinstance(spec, tf.RaggedTensorSpec):
        return tf.io.RaggedFeature(spec.dtype)
    return tf.io.FixedLenFeature(spec.shape[1:], spec.dtype)


def _dense(value: Any) -> Any:
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value)
    return value.to_tensor() if isinstance(value, tf.RaggedTensor) else value
