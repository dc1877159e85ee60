"""A converter's child process: what parent and child leave for each other in one directory."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfx_shrink.child_process import how_it_ended, run_child
from tfx_shrink.errors import ProofError

CALIBRATION, PROOF, RESULT = "calibration.npz", "proof.npz", "result.tflite"

_REQUEST, _OUTCOME = "request.json", "outcome.json"
# numpy.savez has a parameter called `file`, and a feature may be called that too.
_KEY = "input:"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a child process ended.

    Attributes:
      kind: `"converted"`, `"unproven"`, `"failed"` or `"crashed"`: the converter itself ended the
        process.
      message: What went wrong.
      difference: The attributes of an `OutputDifference`, if it was converted and proven.
    """

    kind: str
    message: str = ""
    difference: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def run_worker(
    module: str, work: str, request: Mapping[str, Any], *, time_limit: float, called: str
) -> Outcome:
    """Runs a module in a child process.

    Args:
      module: The module; its one argument is `work`.
      work: The directory that parent and child share; the result, if any, is left there.
      request: JSON values, what the child is to do.
      time_limit: Seconds after which it is stopped.
      called: What error messages call it, such as `"The converter"`.

    Returns:
      How it ended.
    """
    with open(os.path.join(work, _REQUEST), "w") as file:
        json.dump(request, file)
    try:
        run_child([sys.executable, "-m", module, work], time_limit=time_limit)
    except subprocess.SubprocessError as error:
        code = getattr(error, "returncode", 0)
        crashed = code < 0 and code != -signal.SIGKILL
        return Outcome("crashed" if crashed else "failed", how_it_ended(error, called))
    with open(os.path.join(work, _OUTCOME)) as file:
        return Outcome(**json.load(file))


def serve(work: str, work_on: Callable[..., dict[str, Any]]) -> None:
    """Answers the one request in `work`, in the child; whatever is raised becomes the outcome."""
    with open(os.path.join(work, _REQUEST)) as file:
        request = json.load(file)
    try:
        outcome = work_on(work, **request)
    except ProofError as error:
        outcome = {"kind": "unproven", "message": str(error)}
    except Exception as error:  # Converters raise bare Exceptions of many types.
        outcome = {"kind": "failed", "message": f"{type(error).__name__}: {error}"}
    with open(os.path.join(work, _OUTCOME), "w") as file:
        json.dump(outcome, file)


def write_rows(work: str, name: str, rows: Mapping[str, np.ndarray]) -> None:
    """Leaves rows for the child."""
    arrays: dict[str, Any] = {f"{_KEY}{key}": values for key, values in rows.items()}
    np.savez(os.path.join(work, name), **arrays)


def read_rows(work: str, name: str) -> dict[str, np.ndarray]:
    """Returns the rows that the parent left under `name`, or none."""
    path = os.path.join(work, name)
    if not os.path.exists(path):
        return {}
    with np.load(path) as arrays:
        return {key.removeprefix(_KEY): arrays[key] for key in arrays}
