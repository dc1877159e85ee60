"""Converts one function of a SavedModel to TFLite, in a process of its own.

TensorFlow's converters end the whole process on some models (a segmentation fault, an LLVM
abort). In a child process that is an error message.
"""

import dataclasses
import os
import re
import tempfile
from collections.abc import Mapping

import numpy as np

from tfx_shrink.errors import ConversionError, ProofError
from tfx_shrink.measure.difference import OutputDifference
from tfx_shrink.tflite.worker import CALIBRATION, PROOF, RESULT, Outcome, run_worker, write_rows

_WORKER = "tfx_shrink.tflite.conversion_process"

_OPERATIONS = re.compile(
    r"(?:TF Select|Custom) ops: ([\w.:, ]+)|failed to legalize operation 'tf\.(\w+)'"
)


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
    """What to ask of TensorFlow's TFLite converter.

    Attributes:
      optimize: Whether it may quantize weights.
      float16: Whether weights become float16 instead of int8.
      calibrated: Whether activations become int8 too, by ranges seen on the calibration rows.
      int16_activations: Whether they become int16 instead.
      integer_io: Whether float inputs and outputs become int8 too.
      sparse: Whether weights that are mostly zero are stored in TFLite's sparse format.
      select_tf_ops: Whether operations without a TFLite counterpart stay TensorFlow's.
    """

    optimize: bool = False
    float16: bool = False
    calibrated: bool = False
    int16_activations: bool = False
    integer_io: bool = False
    sparse: bool = False
    select_tf_ops: bool = False


@dataclasses.dataclass(frozen=True)
class Converted:
    """A TFLite model that ran on real rows.

    Attributes:
      content: The bytes of the file. Its one signature is called `serving_default`.
      difference: How far its outputs lie from the source function's on the proof rows.
    """

    content: bytes
    difference: OutputDifference


class BlockedError(ConversionError):
    """Operations stand in the way of a conversion; the text names those that are known."""


def convert(
    model_dir: str,
    function_name: str,
    options: ConversionOptions,
    *,
    calibration: Mapping[str, np.ndarray],
    proof: Mapping[str, np.ndarray],
    time_limit: float,
) -> Converted:
    """Converts one function and runs the result on real rows beside its source.

    Nothing is written: the file is returned. The calling process survives whatever the converter
    does.

    Args:
      model_dir: The SavedModel's directory.
      function_name: A signature's name, or `functions.CALL_FUNCTION`.
      options: What to ask of the converter.
      calibration: Rows by input name, each `[rows, ...]`; used if `options.calibrated`.
      proof: Other rows of the same kind, on which source and result are run and compared.
      time_limit: Seconds after which the converter is stopped.

    Returns:
      The file and how far its outputs moved.

    Raises:
      BlockedError: Operations of the function have no TFLite counterpart, or crash the converter.
      ConversionError: The converter failed otherwise, or ran out of time.
      ProofError: The file does not run, or its outputs are not finite or not of the source's
        shape.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        write_rows(work, CALIBRATION, calibration)
        write_rows(work, PROOF, proof)
        outcome = _run_converter(work, model_dir, function_name, options, time_limit)
        if outcome.kind == "converted":
            with open(os.path.join(work, RESULT), "rb") as file:
                return Converted(file.read(), OutputDifference(**outcome.difference))
    if outcome.kind == "unproven":
        raise ProofError(outcome.message)
    if outcome.kind == "crashed":
        # Where the quantizing converter crashes, the plain one refuses, naming operations.
        found = conversion_blockers(
            model_dir,
            function_name,
            time_limit=time_limit,
            select_tf_ops=options.select_tf_ops,
        )
        told = (
            f"What blocks the float conversion: {', '.join(found)}."
            if found
            else "The float conversion works, so use a scheme that quantizes less."
        )
        raise BlockedError(f"{outcome.message} {told}")
    operations = _operations_in(outcome.message)
    if operations:
        raise BlockedError(f"no TFLite operation for {', '.join(operations)}")
    raise ConversionError(outcome.message)


def conversion_blockers(
    model_dir: str, function_name: str, *, time_limit: float, select_tf_ops: bool = False
) -> list[str]:
    """Converts one function to float TFLite on trial and lists what stands in the way.

    Args:
      model_dir: The SavedModel's directory.
      function_name: A signature's name, or `functions.CALL_FUNCTION`.
      time_limit: Seconds after which the converter is stopped.
      select_tf_ops: Whether operations may stay TensorFlow's. Defaults to False.

    Returns:
      Names of operations; the converter's message if it named none; empty if it converts.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        options = ConversionOptions(select_tf_ops=select_tf_ops)
        outcome = _run_converter(work, model_dir, function_name, options, time_limit)
    if outcome.kind == "converted":
        return []
    return _operations_in(outcome.message) or [outcome.message.strip().splitlines()[0]]


def _run_converter(
    work: str,
    model_dir: str,
    function_name: str,
    options: ConversionOptions,
    time_limit: float,
) -> Outcome:
    request = {
        "model_dir": model_dir,
        "function_name": function_name,
        "options": dataclasses.asdict(options),
    }
    return run_worker(_WORKER, work, request, time_limit=time_limit, called="The converter")


def _operations_in(message: str) -> list[str]:
    found = {
        name.strip()
        for groups in _OPERATIONS.findall(message)
        for names in groups
        for name in names.split(",")
    }
    return sorted(found - {""})
