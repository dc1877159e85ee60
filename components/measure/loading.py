"""How long a model takes to load, and how much memory: in a process that may die of it."""

import dataclasses
import json
import subprocess
import sys

from tfx_shrink.child_process import how_it_ended, last_lines, run_child
from tfx_shrink.errors import ModelError

_PROCESS = "tfx_shrink.measure.loading_process"
_TOLD_LINES = 4


@dataclasses.dataclass(frozen=True)
class Loading:
    """What loading costs.

    Attributes:
      seconds: From opening the files to a model that can be asked.
      peak_bytes: By how much the most memory that the process held grew.
    """

    seconds: float
    peak_bytes: int


def measure_loading(path: str, *, time_limit: float) -> Loading:
    """Loads a model as a server does, in a process of its own.

    Args:
      path: A TFLite file, or a SavedModel's directory; local.
      time_limit: Seconds after which the process is stopped.

    Returns:
      Time and memory.

    Raises:
      ModelError: The runtime refuses the model, ends the process, or does not finish in time.
    """
    output = run_measuring(_PROCESS, path, time_limit=time_limit)
    return Loading(**json.loads(output.splitlines()[-1]))


def run_measuring(module: str, argument: str, *, time_limit: float) -> str:
    """Runs a module that measures, in a process of its own, and returns what it printed.

    Args:
      module: The module.
      argument: Its one argument.
      time_limit: Seconds after which it is stopped.

    Raises:
      ModelError: It failed, was killed or ran out of time; the text says which.
    """
    command = [sys.executable, "-m", module, argument]
    env = {
        "CUDA_VISIBLE_DEVICES": "-1",  # What is compared runs on the CPU, both of it.
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
    }
    try:
        return run_child(command, env, time_limit=time_limit).output
    except subprocess.SubprocessError as error:
        if isinstance(error, subprocess.CalledProcessError) and error.returncode > 0:
            told = " ".join(last_lines(error.stderr, _TOLD_LINES))
            raise ModelError(f"The model does not run: {told}") from error
        raise ModelError(how_it_ended(error, "The process that ran the model")) from error
