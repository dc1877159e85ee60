"""Converts one function of a SavedModel to TFLite, in a process of its own.

TensorFlow's converters end the whole process on some models (a segmentation fault, an LLVM
abort). In a child process that is an error message.
"""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping

import numpy as np

from tfx_shrink.errors import ConversionError, ProofError
from tfx_shrink.measure.difference import OutputDifference

_WORKER = "tfx_shrink.tflite.conversion_process"
_OPERATIONS = re.compile(r"(?:TF Select|Custom) ops: ([\w.:, ]+)")
_LOG_LINES = 8


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
    """What to ask of TensorFlow's TFLite converter.

    Attributes:
      optimize: Whether it may quantize weights.
      calibrated: Whether activations become int8 too, by ranges seen on the calibration rows.
      float16: Whether weights become float16 instead of int8.
    """

    optimize: bool = False
    calibrated: bool = False
    float16: bool = False


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
    """Operations stand in the way of a conversion.

    Attributes:
      operations: Their names; empty if the converter did not say.
    """

    def __init__(self, message: str, operations: list[str]):
        super().__init__(message)
        self.operations = operations


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
      BlockedError: Operations of the function have no TFLite counterpart, or the converter was
        killed by one; `operations` names those that are known.
      ConversionError: The converter failed otherwise, or ran out of time.
      ProofError: The file does not run, or its outputs are not finite or not of the source's
        shape.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        np.savez(os.path.join(work, "calibration.npz"), **calibration)
        np.savez(os.path.join(work, "proof.npz"), **proof)
        request = {
            "model_dir": model_dir,
            "function_name": function_name,
            "options": dataclasses.asdict(options),
        }
        outcome = _run_worker(work, request, time_limit)
        if outcome["kind"] == "converted":
            with open(os.path.join(work, "result.tflite"), "rb") as file:
                return Converted(file.read(), OutputDifference(**outcome["difference"]))
    if outcome["kind"] == "proof":
        raise ProofError(outcome["message"])
    if outcome["kind"] == "killed" and options != ConversionOptions():
        raise _diagnosed(outcome["message"], model_dir, function_name, proof, time_limit)
    raise _conversion_error(outcome["message"])


def _run_worker(work: str, request: Mapping[str, object], time_limit: float) -> dict[str, object]:
    """Runs the child process in `work` and tells how it ended."""
    with open(os.path.join(work, "request.json"), "w") as file:
        json.dump(request, file)
    log_path = os.path.join(work, "log")
    with open(log_path, "wb") as log:
        try:
            code = subprocess.run(
                [sys.executable, "-m", _WORKER, work],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=time_limit,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            message = f"The TFLite converter did not finish within {time_limit:g} seconds."
            return {"kind": "failed", "message": message}
    outcome_path = os.path.join(work, "outcome.json")
    if code == 0 and os.path.exists(outcome_path):
        with open(outcome_path) as file:
            return json.load(file)
    with open(log_path, errors="replace") as file:
        lines = [line.strip() for line in file if line.strip()][-_LOG_LINES:]
    end = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    message = f"The TFLite converter's process ended with {end}."
    return {
        "kind": "killed" if code < 0 else "failed",
        "message": message + ("\nIts last lines:\n  " + "\n  ".join(lines) if lines else ""),
    }


def _diagnosed(
    message: str,
    model_dir: str,
    function_name: str,
    proof: Mapping[str, np.ndarray],
    time_limit: float,
) -> ConversionError:
    """Asks the float converter, which refuses where the quantizing one is killed, for names."""
    try:
        convert(
            model_dir,
            function_name,
            ConversionOptions(),
            calibration={},
            proof=proof,
            time_limit=time_limit,
        )
    except BlockedError as blocked:
        return BlockedError(f"{message}\n{blocked}", blocked.operations)
    except (ConversionError, ProofError) as error:
        return BlockedError(f"{message}\nThe float conversion fails too: {error}", [])
    return BlockedError(f"{message}\nThe float conversion of the same function works.", [])


def _conversion_error(message: str) -> ConversionError:
    found = {name.strip() for names in _OPERATIONS.findall(message) for name in names.split(",")}
    operations = sorted(name for name in found if name)
    if not operations:
        return ConversionError(message)
    text = f"TFLite has no builtin operation for {', '.join(operations)}."
    return BlockedError(text, operations)
