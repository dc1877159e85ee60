"""What a source or a quantized model predicts for rows, and what is right."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ParameterError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.examples.labels import make_label_decoder
from tfx_shrink.measure.stored import tflite_path
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import (
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
    load,
)
from tfx_shrink.tflite.interpreter import TFLiteModel


def check_output(source: Source, output_name: str | None) -> None:
    """Checks that some function of the model has the one output that a metric needs.

    Raises:
      ParameterError: None has.
    """
    functions = [
        function
        for function in list_functions(source.loaded)
        if function.name not in PREPROCESSING_SIGNATURES
    ]
    if not any(_chosen(function, output_name) for function in functions):
        outputs = {function.name: sorted(function.outputs) for function in functions}
        raise ParameterError(
            f"`output_name` must be an output of the model, which has {outputs}. "
            f"Received: output_name={output_name!r}."
        )


def predict(
    source: Source,
    rows: Sequence[bytes],
    function_name: str,
    output_name: str | None,
    model_dir: str | None = None,
) -> np.ndarray:
    """Returns one output of a model for rows.

    Args:
      source: The model that the rows were drawn for.
      rows: Serialized tf.Examples.
      function_name: The function of the source that reads them.
      output_name: Which output; None where there is only one.
      model_dir: A quantized model to ask instead of the source. Defaults to None.

    Returns:
      `[rows, ...]`.

    Raises:
      ParameterError: The function has no such output, or several and none is named.
    """
    function = get_function(source.loaded, function_name)
    chosen = _chosen(function, output_name)
    if chosen is None:
        raise ParameterError(
            f"`output_name` must be one of {sorted(function.outputs)}, the outputs of "
            f"{function_name}. Received: output_name={output_name!r}."
        )
    call = function.call_arrays if model_dir is None else _load(model_dir, function_name)
    inputs = source.read(list(rows), function)
    return run_in_batches(call, inputs, function.inputs)[chosen]


def read_labels(source: Source, rows: Sequence[bytes], label_key: str) -> np.ndarray:
    """Returns the labels of rows: as Transform makes them, else as the rows hold them.

    Args:
      source: What the rows were drawn for.
      rows: Serialized tf.Examples.
      label_key: The label's feature.

    Returns:
      `[rows, ...]`, of the feature's own type.

    Raises:
      ExamplesError: There is no such feature, or it holds text.
    """
    decode = make_label_decoder(
        rows,
        label_key,
        transform_graph=source.transform_graph,
        schema=source.schema,
        from_transform=source.sample.from_transform,
    )
    return decode(tf.constant(list(rows))).numpy()


def _chosen(function: ServedFunction, output_name: str | None) -> str | None:
    if output_name is None and len(function.outputs) == 1:
        return next(iter(function.outputs))
    return output_name if output_name in function.outputs else None


def _load(
    model_dir: str, function_name: str
) -> Callable[[dict[str, np.ndarray]], Mapping[str, Any]]:
    tflite = tflite_path(model_dir)
    if tflite is not None:
        with tf.io.gfile.GFile(tflite, "rb") as file:
            return TFLiteModel(file.read())
    loaded = load(model_dir)
    function = get_function(loaded, function_name)
    # Functions die with their model.
    return lambda batch: (loaded, function.call_arrays(batch))[1]
