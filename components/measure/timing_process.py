"""The child process of `run_models`: `python -m … WORK_DIR`; prints one line of JSON."""

import dataclasses
import functools
import json
import os
import pickle
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.examples.batches import answer_in_batches, repeat_rows
from tfx_shrink.measure.latency import take_samples
from tfx_shrink.measure.runtime import open_served
from tfx_shrink.measure.speedup import compare_times, percentile_bounds, spread_of
from tfx_shrink.measure.timing import ANSWERS, REQUEST, Timing

_COPIES = 2
_PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def main() -> None:
    """Runs the models of the request."""
    work = sys.argv[1]
    with open(os.path.join(work, REQUEST), "rb") as file:
        request = pickle.load(file)
    threads, rows = request["threads"], request["rows"]
    # What the first session of a process says of threads, all others must live with.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    copies = {
        name: [open_served(model, threads) for _ in range(_COPIES)]
        for name, model in request["models"].items()
    }
    answers = {
        name: answer_in_batches(both[0], rows, request["models"][name].batch_size)
        for name, both in copies.items()
    }
    with open(os.path.join(work, ANSWERS), "wb") as file:
        pickle.dump(answers, file)
    found = {}
    for size in request["batch_sizes"]:
        batch = {name: repeat_rows(values, size) for name, values in rows.items()}
        calls = [functools.partial(copy, batch) for both in copies.values() for copy in both]
        each: list[list[float]] = [[] for _ in calls]
        samples, _ = take_samples(calls, rounds=request["rounds"], seed=request["seed"], each=each)
        times = dict(zip(copies, samples.reshape(len(copies), _COPIES, -1), strict=True))
        single = dict(zip(copies, zip(each[::2], each[1::2], strict=True), strict=True))
        found[size] = {name: _describe(name, times, np.concatenate(single[name])) for name in times}
    print(json.dumps(found))


def _describe(name: str, times: dict[str, np.ndarray], single: np.ndarray) -> dict[str, Any]:
    first, own = next(iter(times)), times[name]
    spread = 1 + spread_of(own)
    values, bounds = {}, {}
    for percentile, share in _PERCENTILES.items():
        low, high = percentile_bounds(single, share)
        values[percentile] = float(np.quantile(single, share)) / 1000
        bounds[percentile] = (low / spread / 1000, high * spread / 1000)
    return dataclasses.asdict(
        Timing(
            **values,
            bounds=bounds,
            speedup=None if name == first else compare_times(times[first], own),
        )
    )


if __name__ == "__main__":
    main()
