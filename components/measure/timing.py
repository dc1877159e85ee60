"""Answers and latencies of several models, side by side in one process of their own."""

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

REQUEST, ANSWERS = "request.pickle", "answers.pickle"
_PROCESS = "tfx_shrink.measure.timing_process"


@dataclasses.dataclass(frozen=True)
class Timing:
    """One model's times at one batch size.

    Attributes:
      p50: Median over single calls, in milliseconds.
      p95: 95th percentile over them, likewise.
      p99: 99th percentile over them, likewise.
      bounds: 95 % interval of each, by `"p50"`, `"p95"` and `"p99"`, widened by what two copies of
        the model differ by; the upper is infinite where there were too few calls.
      speedup: How many times as fast as the first model it is; None of the first.
    """

    p50: float
    p95: float
    p99: float
    bounds: dict[str, tuple[float, float]]
    speedup: Speedup | None


@dataclasses.dataclass(frozen=True)
class Ran:
    """What several models answered, and how fast.

    Attributes:
      answers: Outputs by name, `[rows, ...]`, by model.
      timings: Times by batch size and model.
    """

    answers: dict[str, dict[str, np.ndarray]]
    timings: dict[int, dict[str, Timing]]


def run_models(
    models: Mapping[str, ServedModel],
    rows: Mapping[str, np.ndarray],
    *,
    batch_sizes: Sequence[int],
    threads: int,
    rounds: int,
    seed: int,
    time_limit: float,
) -> Ran:
    """Asks models all rows, then times two copies of each, interleaved, in one process.

    Args:
      models: What to run, by name; the first is what the others are compared with.
      rows: Arrays `[rows, ...]` by feature name; where they are fewer than a batch, they repeat.
      batch_sizes: How many rows a timed call gets, one run for each.
      threads: How many threads a call may use.
      rounds: Samples of each copy.
      seed: Chooses the order.
      time_limit: Seconds after which the process is stopped.

    Returns:
      Answers and times.

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
        with open(os.path.join(work, ANSWERS), "rb") as file:
            answers = pickle.load(file)
    timings = {
        int(batch): {name: _timing(values) for name, values in by_name.items()}
        for batch, by_name in json.loads(output.splitlines()[-1]).items()
    }
    return Ran(answers, timings)


def _timing(values: dict[str, Any]) -> Timing:
    speedup = values.pop("speedup")
    bounds = {name: (low, high) for name, (low, high) in values.pop("bounds").items()}
    return Timing(**values, bounds=bounds, speedup=None if speedup is None else Speedup(**speedup))
