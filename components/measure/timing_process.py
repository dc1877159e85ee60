"""The child process of `measure_timings`: `python -m … WORK_DIR`; prints one line of JSON."""

import dataclasses
import functools
import json
import os
import pickle
import sys
from typing import Any

import numpy as np
import tensorflow as tf

from tfx_shrink.measure.latency import take_samples
from tfx_shrink.measure.runtime import open_served
from tfx_shrink.measure.speedup import compare_times, spread_of
from tfx_shrink.measure.timing import REQUEST, Timing

_COPIES = 2


def main() -> None:
    """Times the models of the request."""
    with open(os.path.join(sys.argv[1], REQUEST), "rb") as file:
        request = pickle.load(file)
    threads = request["threads"]
    # What the first session of a process says of threads, all others must live with.
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    copies = {
        name: [open_served(model, threads) for _ in range(_COPIES)]
        for name, model in request["models"].items()
    }
    found = {}
    for size in request["batch_sizes"]:
        rows = {
            name: values[np.arange(size) % len(values)] for name, values in request["rows"].items()
        }
        calls = [functools.partial(copy, rows) for both in copies.values() for copy in both]
        samples, _ = take_samples(calls, rounds=request["rounds"], seed=request["seed"])
        times = dict(zip(copies, samples.reshape(len(copies), _COPIES, -1), strict=True))
        found[size] = {name: _describe(name, times) for name in times}
    print(json.dumps(found))


def _describe(name: str, times: dict[str, np.ndarray]) -> dict[str, Any]:
    first, own = next(iter(times)), times[name]
    p50, p95, p99 = np.percentile(own, [50, 95, 99]) / 1000
    return dataclasses.asdict(
        Timing(
            p50=float(p50),
            p95=float(p95),
            p99=float(p99),
            spread=spread_of(own),
            speedup=None if name == first else compare_times(times[first], own),
        )
    )


if __name__ == "__main__":
    main()
