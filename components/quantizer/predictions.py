"""What a source or a quantized model predicts for rows."""

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ExamplesError, ParameterError
from tfx_shrink.examples.decode import decode_rows, feature_kinds
from tfx_shrink.quantizer.source import Source
from tfx_shrink.saved_model.functions import get_function, load
from tfx_shrink.tflite.interpreter import TFLiteModel

_BATCH = 256
_LABEL_TYPES = {"int64_list": tf.int64, "float_list": tf.float32}


def predict(
    source: Source, rows: Sequence[bytes], function_name: str, model_dir: str | None = None
) -> np.ndarray:
    """Returns a model's one output for rows.

    Args:
      source: The model that the rows were drawn for.
      rows: Serialized tf.Examples.
      function_name: The function of the source that reads them.
      model_dir: A quantized model to ask instead of the source. Defaults to None.

    Returns:
      `[rows, ...]`.

    Raises:
      ParameterError: The function has more than one output.
    """
    function = get_function(source.loaded, function_name)
    if len(function.outputs) != 1:
        raise ParameterError(
            f"A metric needs one output; {function_name} has {sorted(function.outputs)}. Give "
            "`signature_name` of one with a single output."
        )
    inputs = source.read(list(rows), function)
    call = function.call if model_dir is None else _load(model_dir, function_name)
    outputs = []
    for start in range(0, len(rows), _BATCH):
        batch = {
            name: tf.constant(values[start : start + _BATCH], function.inputs[name].dtype)
            for name, values in inputs.items()
        }
        (output,) = call(batch).values()
        outputs.append(np.asarray(output))
    return np.concatenate(outputs)


def _load(model_dir: str, function_name: str) -> Callable[[dict], dict]:
    tflite = os.path.join(model_dir, "tflite")
    if tf.io.gfile.exists(tflite):
        with tf.io.gfile.GFile(tflite, "rb") as file:
            return TFLiteModel(file.read())
    loaded = load(model_dir)
    function = get_function(loaded, function_name)
    return lambda batch: (loaded, function.call(batch))[1]  # Functions die with their model.


def read_labels(source: Source, rows: Sequence[bytes], label_key: str) -> np.ndarray:
    """Returns the labels of rows: as the rows hold them, else as Transform makes them.

    Args:
      source: What the rows were drawn for.
      rows: Serialized tf.Examples.
      label_key: The label's feature.

    Raises:
      ExamplesError: There is no such feature, or it holds text.
    """
    kind = feature_kinds(rows).get(label_key)
    if kind is not None and kind not in _LABEL_TYPES:
        raise ExamplesError(f"Label {label_key!r} holds {kind or 'nothing'}; numbers are needed.")
    return decode_rows(
        rows,
        {label_key: tf.TensorSpec([None], _LABEL_TYPES[kind] if kind else tf.float32)},
        transform_graph=None if kind else source.transform_graph,
        schema=source.schema,
        from_transform=source.sample.from_transform,
    )[label_key]
