"""The child process of `convert`: `python -m tfx_shrink.tflite.conversion_process WORK_DIR`.

Reads the request and, where there are any, rows to calibrate on and rows to prove with from the
directory; leaves the outcome and, if all went well, the file.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ModelError, ProofError
from tfx_shrink.examples.batches import batch_size, full_batches, run_in_batches
from tfx_shrink.measure.difference import output_difference
from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.saved_model.export import export_function
from tfx_shrink.saved_model.functions import ServedFunction, get_function, load
from tfx_shrink.tflite.convert import ConversionOptions
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import add_signature_defs, name_inputs
from tfx_shrink.tflite.worker import CALIBRATION, PROOF, RESULT, read_rows, serve


def _convert_and_prove(
    work: str, model_dir: str, function_name: str, options: dict[str, Any]
) -> dict[str, Any]:
    loaded = load(model_dir)
    function = get_function(loaded, function_name)
    content = _convert(
        function, loaded, ConversionOptions(**options), read_rows(work, CALIBRATION), work
    )
    content = add_signature_defs(content, [SERVING_DEFAULT, function.name])
    with open(os.path.join(work, RESULT), "wb") as file:
        file.write(content)
    proof = read_rows(work, PROOF)
    if not proof:
        return {"kind": "converted"}
    difference = output_difference(*run_both(function, TFLiteModel, content, proof))
    return {"kind": "converted", "difference": dataclasses.asdict(difference)}


def _convert(
    function: ServedFunction,
    loaded: Any,
    options: ConversionOptions,
    calibration: Mapping[str, np.ndarray],
    work: str,
) -> bytes:
    export = os.path.join(work, "export")
    names = export_function(function, loaded, export)
    converter = tf.lite.TFLiteConverter.from_saved_model(export, signature_keys=[SERVING_DEFAULT])
    operations = tf.lite.OpsSet.TFLITE_BUILTINS
    if options.optimize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.sparse:
        converter.optimizations = [
            *converter.optimizations,
            tf.lite.Optimize.EXPERIMENTAL_SPARSITY,
        ]
    if options.float16:
        converter.target_spec.supported_types = [tf.float16]
    if options.calibrated:
        operations = (
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            if options.int16_activations
            else tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        )
        rows = {key: calibration[name] for key, name in names.items()}
        size = batch_size(function.inputs) or 1
        converter.representative_dataset = lambda: full_batches(rows, size)
    if options.integer_io:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.target_spec.supported_ops = [operations]
    if options.select_tf_ops:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
    # TensorFlow 2.21 would give dense layers a scale for each channel: larger files, which older
    # runtimes, TensorFlow Serving's among them, refuse to load. 2.16 does not know the attribute.
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return name_inputs(converter.convert(), names)


def run_both(
    function: ServedFunction,
    load_file: Callable[[bytes], Callable[..., dict[str, np.ndarray]]],
    content: bytes,
    rows: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Runs source and result on the same rows.

    Args:
      function: The source.
      load_file: Makes something to call from the bytes of a file, such as `TFLiteModel`.
      content: The bytes of the file.
      rows: Rows by input name.

    Returns:
      The source's outputs and the file's.

    Raises:
      ProofError: The file does not run.
    """
    try:
        expected = run_in_batches(function.call_arrays, rows, function.inputs)
    except (IndexError, ValueError) as error:
        scalars = [name for name, spec in function.outputs.items() if spec.shape.rank == 0]
        if scalars:
            raise ProofError(
                f"Outputs {scalars} have no batch dimension, so rows cannot be compared. Give "
                "every output one."
            ) from error
        raise
    try:
        actual = run_in_batches(load_file(content), rows, function.inputs)
    except (RuntimeError, ValueError, ModelError) as error:
        raise ProofError(f"The TFLite model converts but does not run: {error}") from error
    return expected, actual


if __name__ == "__main__":
    serve(sys.argv[1], _convert_and_prove)
