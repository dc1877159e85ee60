"""The child process of `make_edge`: `python -m tfx_shrink.quantizer.edge_process WORK_DIR`.

Reads the request, the float file and the rows from the directory; leaves the outcome and, if all
went well, the quantized file.
"""

import dataclasses
import functools
import os
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import Quantizer

from tfx_shrink.errors import ProofError
from tfx_shrink.examples.batches import batch_size, full_batches
from tfx_shrink.measure.difference import OutputDifference, output_difference
from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.quantizer.edge import FLOAT
from tfx_shrink.saved_model.functions import ServedFunction, get_function, load
from tfx_shrink.tflite.conversion_process import run_both
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import add_signature_defs
from tfx_shrink.tflite.worker import CALIBRATION, PROOF, RESULT, read_rows, serve

# Every intermediate tensor of a batch is kept while ranges are taken.
_CALIBRATION_BATCH = 32

# Kernels round differently, by at most a step; wrong ones are further off than quantizing itself.
_APART = 2

_OTHER_RUNTIME = (
    "LiteRT, the package ai-edge-litert, runs this file as intended; the TFLite runtime of "
    f"TensorFlow {tf.__version__} does not. Use 8 bits for such layers."
)


def _quantize_and_prove(
    work: str, model_dir: str, function_name: str, recipe: list[dict[str, Any]]
) -> dict[str, Any]:
    function = get_function(load(model_dir), function_name)
    with open(os.path.join(work, FLOAT), "rb") as file:
        quantizer = Quantizer(bytearray(file.read()), recipe)
    ranges = None
    if quantizer.need_calibration:
        size = batch_size(function.inputs) or _CALIBRATION_BATCH
        batches = list(full_batches(read_rows(work, CALIBRATION), size))
        ranges = quantizer.calibrate({SERVING_DEFAULT: batches}, num_threads=1)
    quantized = quantizer.quantize(ranges, enable_progress_report=False).quantized_model
    content = add_signature_defs(bytes(quantized), [SERVING_DEFAULT, function.name])
    with open(os.path.join(work, RESULT), "wb") as file:
        file.write(content)
    difference = _prove(function, bytes(quantized), content, read_rows(work, PROOF))
    return {"kind": "converted", "difference": dataclasses.asdict(difference)}


def _prove(
    function: ServedFunction, quantized: bytes, content: bytes, rows: Mapping[str, np.ndarray]
) -> OutputDifference:
    """Compares the finished file in TensorFlow with the source, and with LiteRT's result."""
    in_litert = functools.partial(TFLiteModel, runtime=Interpreter)
    expected, intended = run_both(function, in_litert, quantized, rows)
    moved = output_difference(expected, intended)
    try:
        _, actual = run_both(function, TFLiteModel, content, rows)
        apart = output_difference(intended, actual)
    except ProofError as error:
        raise ProofError(f"{error} {_OTHER_RUNTIME}") from error
    if apart.max > _APART * moved.max:
        raise ProofError(
            f"Quantizing moves the outputs by {moved.max:.4g}, and the two runtimes differ by "
            f"{apart.max:.4g}. {_OTHER_RUNTIME}"
        )
    return output_difference(expected, actual)


if __name__ == "__main__":
    serve(sys.argv[1], _quantize_and_prove)
