"""Running a TFLite model on real rows, by feature name, exactly as a device would round."""

import threading
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ModelError
from tfx_shrink.model_files import SERVING_DEFAULT


class TFLiteModel:
    """A TFLite model, called with float features and answering with float outputs.

    Integer inputs and outputs are quantized and dequantized with the file's own scale and zero
    point: rounded to the nearest step and clipped to the type's range, which TFMA's own extractor
    does not do. The interpreter is made with TensorFlow's default operations and delegates. A
    recurrent model starts every call anew. Calls from several threads take turns.

    Example:
      ```python
      model = TFLiteModel(tf.io.gfile.GFile("out/tflite", "rb").read())
      probabilities = model({"image": images})["probabilities"]
      ```

    Args:
      content: The bytes of the file.
      threads: How many threads one call may use. Defaults to 1.
      runtime: The interpreter's class. Defaults to None: TensorFlow's own.

    Raises:
      ModelError: The file has no signature, so its inputs have no feature names.
    """

    def __init__(self, content: bytes, threads: int = 1, runtime: Any = None):
        runtime = runtime or tf.lite.Interpreter
        with warnings.catch_warnings():
            # TensorFlow 2.21 recommends LiteRT. TensorFlow Serving has TensorFlow's own kernels.
            warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated")
            self._interpreter = runtime(model_content=content, num_threads=threads)
        names = list(self._interpreter.get_signature_list())
        if not names:
            raise ModelError(
                "The TFLite file has no signature, so its inputs have no feature names. Convert "
                "it again from a SavedModel, for example with `tfx-shrink quantize`."
            )
        # A signature's runner alone would never get the default delegates.
        self._interpreter.allocate_tensors()
        name = SERVING_DEFAULT if SERVING_DEFAULT in names else names[0]
        self._run = self._interpreter.get_signature_runner(name)
        self._outputs = self._run.get_output_details()
        self._lock = threading.Lock()
        self.inputs: dict[str, dict[str, Any]] = self._run.get_input_details()

    def __call__(self, features: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Runs one batch.

        Args:
          features: Dense arrays or tensors by input name, the batch first. Others are ignored.

        Returns:
          Outputs by name, dequantized to float32 where the file stores integers with a scale.

        Raises:
          ModelError: An input is not among the features.
        """
        quantized = self.quantize(features)
        with self._lock:
            self._interpreter.reset_all_variables()  # A recurrent model keeps state between calls.
            outputs = self._run(**quantized)
            return {
                name: _dequantize(value, self._outputs[name]) for name, value in outputs.items()
            }

    @property
    def features(self) -> dict[str, tf.TensorSpec]:
        """The features that are called with, by input name; float where integers have a scale."""
        return _specs(self.inputs)

    @property
    def outputs(self) -> dict[str, tf.TensorSpec]:
        """What is answered, by output name."""
        return _specs(self._outputs)

    def quantize(self, features: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns what the file's own inputs hold for these features, by input name.

        Raises:
          ModelError: An input is not among the features.
        """
        missing = sorted(set(self.inputs) - set(features))
        if missing:
            raise ModelError(
                f"The TFLite model reads {sorted(self.inputs)}; the rows hold {sorted(features)}: "
                f"{missing} are missing."
            )
        return {name: _quantize(features[name], self.inputs[name]) for name in self.inputs}


def _specs(details: Mapping[str, Mapping[str, Any]]) -> dict[str, tf.TensorSpec]:
    return {
        name: tf.TensorSpec(
            [None if size < 0 else int(size) for size in detail["shape_signature"]],
            tf.float32 if _is_quantized(detail) else detail["dtype"],
        )
        for name, detail in details.items()
    }


def _quantize(values: Any, detail: Mapping[str, Any]) -> np.ndarray:
    array = np.asarray(values)
    shape = detail["shape_signature"][1:]
    if (shape > 0).all():
        array = array.reshape([len(array), *shape])
    if _is_quantized(detail):
        limits = np.iinfo(detail["dtype"])
        scale, zero = _scale(detail)
        array = np.clip(np.round(array / scale + zero), limits.min, limits.max)
    return array.astype(detail["dtype"])


def _dequantize(array: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    if not _is_quantized(detail):
        return np.array(array)
    scale, zero = _scale(detail)
    return ((array.astype(np.float32) - zero) * scale).astype(np.float32)


def _is_quantized(detail: Mapping[str, Any]) -> bool:
    parameters = detail["quantization_parameters"]
    return bool(parameters["scales"].size) and np.issubdtype(detail["dtype"], np.integer)


def _scale(detail: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    parameters = detail["quantization_parameters"]
    return parameters["scales"], parameters["zero_points"]
