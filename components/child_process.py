"""A command in a process of its own, which may die of what it does: its time, memory and end."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

# A process that is started inherits its parent's peak, so a small one stands between.
_HELPER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.run(sys.argv[2:]).returncode
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "seconds": seconds, "peak": peak}, file)
"""
# Bytes of the unit in which getrusage tells memory.
PEAK_UNIT = 1 if sys.platform == "darwin" else 1024
_TOLD_LINES = 8


@dataclasses.dataclass(frozen=True)
class ChildRun:
    """A command that has ended.

    Attributes:
      seconds: From its start to its end.
      peak_bytes: The most memory (resident set) that it, or any one process that it waited for,
        held at any time.
      output: What it wrote to standard output.
    """

    seconds: float
    peak_bytes: int
    output: str


def run_child(
    command: Sequence[str],
    env: Mapping[str, str] | None = None,
    *,
    time_limit: float | None = None,
) -> ChildRun:
    """Runs a command to its end and measures it; for Linux and macOS.

    Args:
      command: The program, found as a shell would, and its arguments.
      env: Variables to add to this process's environment. Defaults to None.
      time_limit: Seconds after which it is stopped. Defaults to None: never.

    Returns:
      Its time, memory and standard output.

    Raises:
      subprocess.CalledProcessError: It failed, with the negative number of the signal that killed
        it, if one did; `stderr` is what it said.
      subprocess.TimeoutExpired: It was stopped.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        path = os.path.join(work, "run.json")
        helper = subprocess.Popen(
            [sys.executable, "-S", "-c", _HELPER, path, *command],
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            output, said = helper.communicate(timeout=time_limit)
        except BaseException:
            # The helper alone would leave the command running.
            os.killpg(helper.pid, signal.SIGKILL)
            helper.communicate()
            raise
        if helper.returncode:
            raise subprocess.CalledProcessError(helper.returncode, command, output, said)
        with open(path) as file:
            run = json.load(file)
    if run["code"]:
        raise subprocess.CalledProcessError(run["code"], command, output, said)
    return ChildRun(run["seconds"], run["peak"] * PEAK_UNIT, output)


def how_it_ended(error: subprocess.SubprocessError, called: str) -> str:
    """Says how a command that did not succeed ended, and what to do where that is known.

    Args:
      error: What `run_child` raised.
      called: What the command is called, such as `"The converter"`.

    Returns:
      One sentence, or, where the command itself said what was wrong, one and its last lines.
    """
    if isinstance(error, subprocess.TimeoutExpired):
        return f"{called} did not finish in {error.timeout:g} seconds. Give it a larger time_limit."
    if not isinstance(error, subprocess.CalledProcessError):
        return f"{called}: {error}"
    if error.returncode == -signal.SIGKILL:
        return (
            f"{called} was killed by SIGKILL, most likely because this machine ran out of memory. "
            "Use one with more, or let less run beside it."
        )
    if error.returncode < 0:
        return f"{called} was killed by {signal.Signals(-error.returncode).name}."
    lines = last_lines(error.stderr, _TOLD_LINES)
    return "\n".join([f"{called} ended with exit code {error.returncode}:", *lines])


def last_lines(text: str, count: int) -> list[str]:
    """Returns the last lines of a text that are not empty."""
    return [line.rstrip() for line in text.splitlines() if line.strip()][-count:]
