"""The child process of `convert`: `python -m tfx_shrink.tflite.conversion_process WORK_DIR`.

Reads the request and, where there are any, rows to calibrate on and rows to prove with from the
directory; leaves the outcome and, if all went well, the file.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ModelError, ProofError
from tfx_shrink.measure.difference import OutputDifference, output_difference
from tfx_shrink.saved_model.functions import ServedFunction, get_function, load
from tfx_shrink.tflite.convert import (
    CALIBRATION,
    OUTCOME,
    PROOF,
    REQUEST,
    RESULT,
    ConversionOptions,
)
from tfx_shrink.tflite.interpreter import SIGNATURE, TFLiteModel
from tfx_shrink.tflite.signature_defs import add_signature_defs

_BATCH = 256


def main(work: str) -> None:
    """Serves one request."""
    with open(os.path.join(work, REQUEST)) as file:
        request = json.load(file)
    try:
        outcome = _serve(work, **request)
    except ProofError as error:
        outcome = {"kind": "unproven", "message": str(error)}
    except Exception as error:  # The converter raises bare Exceptions of many types.
        outcome = {"kind": "failed", "message": f"{type(error).__name__}: {error}"}
    with open(os.path.join(work, OUTCOME), "w") as file:
        json.dump(outcome, file)


def _serve(
    work: str, model_dir: str, function_name: str, options: dict[str, Any]
) -> dict[str, Any]:
    loaded = load(model_dir)
    function = get_function(loaded, function_name)
    content = _convert(function, ConversionOptions(**options), _rows(work, CALIBRATION), work)
    content = add_signature_defs(content, [SIGNATURE, function.name])
    with open(os.path.join(work, RESULT), "wb") as file:
        file.write(content)
    proof = _rows(work, PROOF)
    if not proof:
        return {"kind": "converted"}
    difference = dataclasses.asdict(_prove(function, content, proof))
    return {"kind": "converted", "difference": difference}


def _rows(work: str, name: str) -> dict[str, np.ndarray]:
    path = os.path.join(work, name)
    if not os.path.exists(path):
        return {}
    with np.load(path) as arrays:
        return dict(arrays)


def _convert(
    function: ServedFunction,
    options: ConversionOptions,
    calibration: Mapping[str, np.ndarray],
    work: str,
) -> bytes:
    # TFMA and TensorFlow Serving look for tensors called serving_default_<input>, whatever the
    # source signature was called.
    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for name, spec in function.inputs.items()
    }
    module = tf.Module()
    module.weights = list(function.concrete.variables)
    module.served = tf.function(lambda **tensors: function.call(tensors), autograph=False)
    export = os.path.join(work, "export")
    tf.saved_model.save(
        module, export, signatures={SIGNATURE: module.served.get_concrete_function(**specs)}
    )
    converter = tf.lite.TFLiteConverter.from_saved_model(export, signature_keys=[SIGNATURE])
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
        converter.representative_dataset = lambda: _single_rows(calibration)
    if options.integer_io:
        converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.target_spec.supported_ops = [operations]
    if options.select_tf_ops:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.SELECT_TF_OPS)
    return converter.convert()


def _single_rows(rows: Mapping[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    for index in range(len(next(iter(rows.values())))):
        yield {name: values[index : index + 1] for name, values in rows.items()}


def _prove(
    function: ServedFunction, content: bytes, rows: Mapping[str, np.ndarray]
) -> OutputDifference:
    try:
        model = TFLiteModel(content)
        expected, actual = [], []
        for start in range(0, len(next(iter(rows.values()))), _BATCH):
            batch = {name: values[start : start + _BATCH] for name, values in rows.items()}
            outputs = function.call({name: tf.constant(value) for name, value in batch.items()})
            expected.append({name: value.numpy() for name, value in outputs.items()})
            actual.append(model(batch))
    except (RuntimeError, ValueError, ModelError) as error:
        raise ProofError(f"The TFLite model converts but does not run: {error}") from error
    return output_difference(_concatenate(expected), _concatenate(actual))


def _concatenate(batches: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


if __name__ == "__main__":
    main(sys.argv[1])
