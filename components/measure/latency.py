"""How long models take, measured side by side, with what this machine cannot tell from nothing."""

import dataclasses
import gc
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfx_shrink.errors import ParameterError
from tfx_shrink.parameters import require_counts

# A shorter sample would measure the clock.
_MIN_SAMPLE_SECONDS = 1e-3


@dataclasses.dataclass(frozen=True)
class Latency:
    """One variant's times.

    Attributes:
      p50: Median over the samples, in microseconds per call.
      p95: 95th percentile over them, in microseconds per call. Where a sample holds several calls,
        it is of their means.
      p99: 99th percentile over them, likewise.
      ratio: p50 over the first variant's.
      floor: The p50 of the first variant, measured again under another name in the same run, over
        its first. A ratio that lies no further from 1 than this says nothing.
      samples: How many samples there are.
      calls: How many calls one sample holds.
    """

    p50: float
    p95: float
    p99: float
    ratio: float
    floor: float
    samples: int
    calls: int


def measure_latency(
    variants: Mapping[str, Callable[[], object]],
    *,
    rounds: int = 50,
    warm_up: int = 5,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Latency]:
    """Measures variants interleaved, so that a machine that slows down slows them all.

    Every round takes one sample of every variant, in a new random order. A sample starts with a
    call that is not timed, so that nobody profits from what a predecessor left in the caches. The
    first variant takes part twice; how far its two medians lie apart is the run's noise floor.

    Threads are not set here. Each variant must come with its own fixed number, such as
    `TFLiteModel(content, threads=1)`, and with real rows as its input: quantized and sparse kernels
    take other times on noise.

    Example:
      ```python
      latency = measure_latency(
          {"float": lambda: float_model(rows), "int8": lambda: int8_model(rows)}
      )
      print(latency["int8"].ratio, latency["int8"].floor)
      ```

    Args:
      variants: What to call, by name; the first is what the others are compared with.
      rounds: Samples of each variant. Defaults to 50.
      warm_up: Samples of each before any that counts. Defaults to 5.
      seed: Chooses the order. Defaults to 0.
      clock: Gives the time in seconds. Defaults to `time.perf_counter`.

    Returns:
      Times by name, in the order of `variants`.

    Raises:
      ParameterError: There is no variant, or `rounds` or `warm_up` is below 1.
    """
    if not variants:
        raise ParameterError("`variants` is empty; there is nothing to measure.")
    names = list(variants)
    # The last one is the first variant again.
    calls = [*variants.values(), variants[names[0]]]
    samples, per_sample = take_samples(
        calls, rounds=rounds, warm_up=warm_up, seed=seed, clock=clock
    )
    p50, p95, p99 = np.percentile(samples, [50, 95, 99], axis=1)
    return {
        name: Latency(
            p50=float(p50[index]),
            p95=float(p95[index]),
            p99=float(p99[index]),
            ratio=float(p50[index] / p50[0]),
            floor=float(p50[-1] / p50[0]),
            samples=rounds,
            calls=per_sample[index],
        )
        for index, name in enumerate(names)
    }


def take_samples(
    calls: Sequence[Callable[[], object]],
    *,
    rounds: int = 50,
    warm_up: int = 5,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    each: Sequence[list[float]] | None = None,
) -> tuple[np.ndarray, list[int]]:
    """Takes one sample of every call in every round, each round in a new random order.

    Args:
      calls: What to call. The same object given twice is warmed up once.
      rounds: As for `measure_latency`.
      warm_up: As for `measure_latency`.
      seed: As for `measure_latency`.
      clock: As for `measure_latency`.
      each: One list for each of `calls`, which gets the microseconds of every single call. Defaults
        to None: only means of samples are taken.

    Returns:
      Microseconds per call `[calls, rounds]`, and how many calls one sample of each holds.

    Raises:
      ParameterError: `rounds` or `warm_up` is below 1.
    """
    require_counts({"rounds": rounds, "warm_up": warm_up})
    known: dict[int, int] = {}
    for call in calls:
        if id(call) not in known:
            known[id(call)] = _calls_per_sample(call, warm_up, clock)
    per_sample = [known[id(call)] for call in calls]
    samples = np.zeros([len(calls), rounds])
    order = np.random.RandomState(seed)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            for index in order.permutation(len(calls)):
                samples[index, number] = _sample(
                    calls[index], per_sample[index], clock, None if each is None else each[index]
                )
    finally:
        if collecting:
            gc.enable()
    return samples * 1e6, per_sample


def _calls_per_sample(call: Callable[[], object], warm_up: int, clock: Callable[[], float]) -> int:
    """Warms a variant up; returns how many calls make a sample that is long enough."""
    shortest = min(_sample(call, 1, clock) for _ in range(warm_up))
    return max(1, int(np.ceil(_MIN_SAMPLE_SECONDS / max(shortest, 1e-9))))


def _sample(
    call: Callable[[], object],
    calls: int,
    clock: Callable[[], float],
    each: list[float] | None = None,
) -> float:
    """Seconds per call, after one that is not timed."""
    call()
    started = last = clock()
    for _ in range(calls):
        call()
        if each is not None:
            now = clock()
            each.append((now - last) * 1e6)
            last = now
    return ((clock() if each is None else last) - started) / calls
