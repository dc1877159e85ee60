"""Latencies of several models, side by side in one process of their own."""

import dataclasses
import json
import os
import pickle
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_shrink.measure.loading import run_measuring
from tfx_shrink.measure.runtime import ServedModel
from tfx_shrink.measure.speedup import Speedup

REQUEST = "request.pickle"
_PROCESS = "tfx_shrink.measure.timing_process"


@dataclasses.dataclass(frozen=True)
class Timing:
    """One model's times at one batch size.

    Attributes:
      p50: Median, in milliseconds a call.
      p95: 95th percentile, likewise.
      p99: 99th percentile, likewise.
      spread: By which share the machine may err, as two copies of the model tell.
      speedup: How many times as fast as the first model it is; None of the first.
    """

    p50: float
    p95: float
    p99: float
    spread: float
    speedup: Speedup | None


def measure_timings(
    models: Mapping[str, ServedModel],
    rows: Mapping[str, np.ndarray],
    *,
    batch_sizes: Sequence[int],
    threads: int,
    rounds: int,
    seed: int,
    time_limit: float,
) -> dict[int, dict[str, Timing]]:
    """Times models on the same rows, two copies of each, interleaved, in a process of their own.

    Args:
      models: What to time, by name; the first is what the others are compared with.
      rows: Arrays `[rows, ...]` by feature name; where they are fewer than a batch, they repeat.
      batch_sizes: How many rows a call gets, one run for each.
      threads: How many threads a call may use.
      rounds: Samples of each copy.
      seed: Chooses the order.
      time_limit: Seconds after which the process is stopped.

    Returns:
      Times by batch size and name.

    Raises:
      ModelError: A model does not run, ends the process, or they do not finish in time.
    """
    with tempfile.TemporaryDirectory(prefix="tfx-shrink-") as work:
        request: dict[str, Any] = {
            "models": dict(models),
            "rows": dict(rows),
            "batch_sizes": list(batch_sizes),
            "threads": threads,
            "rounds": rounds,
            "seed": seed,
        }
        with open(os.path.join(work, REQUEST), "wb") as file:
            pickle.dump(request, file)
        output = run_measuring(_PROCESS, work, time_limit=time_limit)
    return {
        int(batch): {name: _timing(values) for name, values in by_name.items()}
        for batch, by_name in json.loads(output.splitlines()[-1]).items()
    }


def _timing(values: dict[str, Any]) -> Timing:
    speedup = values.pop("speedup")
    return Timing(**values, speedup=None if speedup is None else Speedup(**speedup))
