"""Interleaved, seeded, counted, and with a floor; time is a counter that the calls move on."""

import gc

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.measure.latency import measure_latency, take_samples


class Bench:
    """A clock, and variants that take the time they are told to."""

    def __init__(self):
        self.now = 0.0
        self.order = []

    def clock(self):
        return self.now

    def variant(self, name, *seconds):
        """A call takes `seconds`, one after another, and the last ever after."""
        left = list(seconds)

        def call():
            self.order.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call

    def measure(self, variants, **parameters):
        return measure_latency(variants, clock=self.clock, **parameters)


@pytest.fixture
def bench():
    return Bench()


def test_times_are_microseconds_per_call_and_ratios_are_to_the_first(bench):
    found = bench.measure({"a": bench.variant("a", 0.002), "b": bench.variant("b", 0.005)})
    assert list(found) == ["a", "b"]
    assert (found["a"].p50, found["a"].p95) == (pytest.approx(2000), pytest.approx(2000))
    assert (found["b"].p50, found["b"].ratio) == (pytest.approx(5000), pytest.approx(2.5))
    assert found["a"].ratio == 1.0


def test_the_first_variant_is_measured_twice_and_the_floor_is_reported_with_each(bench):
    found = bench.measure(
        {"a": bench.variant("a", 0.002), "b": bench.variant("b", 0.002)}, rounds=7, warm_up=2
    )
    # A sample is one call that is not timed and one that is.
    assert bench.order.count("a") == 2 * (2 + 2 * 7)
    assert bench.order.count("b") == 2 * (2 + 7)
    assert [latency.floor for latency in found.values()] == [pytest.approx(1.0)] * 2


def test_the_floor_shows_a_machine_that_slows_down(bench):
    # One sample warms up, then both samples of the one round are taken.
    slower = bench.variant("a", 0.002, 0.002, 0.002, 0.002, 0.006)
    found = bench.measure({"a": slower}, rounds=1, warm_up=1)
    assert found["a"].floor in (pytest.approx(3.0), pytest.approx(1 / 3))


def test_every_round_takes_every_variant_in_a_new_order_that_the_seed_decides(bench):
    def order(seed):
        bench.order.clear()
        bench.measure(
            {name: bench.variant(name, 0.002) for name in "abc"}, rounds=20, warm_up=1, seed=seed
        )
        measured = bench.order[6::2]
        return [tuple(measured[start : start + 4]) for start in range(0, 80, 4)]

    rounds = order(seed=0)
    assert all(sorted(taken) == ["a", "a", "b", "c"] for taken in rounds)
    assert len(set(rounds)) > 5
    assert order(seed=0) == rounds
    assert order(seed=1) != rounds


def test_short_calls_share_a_sample(bench):
    found = bench.measure(
        {"long": bench.variant("long", 0.5), "short": bench.variant("short", 0.0003)},
        rounds=3,
        warm_up=1,
    )
    assert (found["long"].calls, found["short"].calls) == (1, 4)
    assert bench.order.count("short") == 2 + 3 * (1 + 4)
    assert found["short"].p50 == pytest.approx(300)
    assert found["short"].samples == 3


def test_a_rare_slow_call_moves_the_95th_percentile_only(bench):
    slow_once = bench.variant("a", *[0.002] * 41, 0.1, 0.002)
    found = bench.measure(
        {"base": bench.variant("base", 0.002), "a": slow_once}, rounds=20, warm_up=1
    )
    assert found["a"].p50 == pytest.approx(2000)
    assert found["a"].p95 > 2500


def test_garbage_is_not_collected_while_measuring(bench):
    collecting = []
    bench.measure({"a": lambda: collecting.append(gc.isenabled()) or bench.variant("a", 1)()})
    assert not any(collecting[10:])
    assert gc.isenabled()


def test_what_cannot_be_measured_is_refused(bench):
    with pytest.raises(ParameterError, match="`variants` is empty"):
        bench.measure({})
    for name in ("rounds", "warm_up"):
        with pytest.raises(ParameterError, match=f"`{name}` must be at least 1, and whole"):
            bench.measure({"a": bench.variant("a", 1)}, **{name: 0})


def test_the_first_call_of_a_sample_is_not_timed(bench):
    # Cold after every other variant, and warm right after itself.
    cold_then_warm = bench.variant("a", *[0.5, 0.002] * 11)
    found = bench.measure({"a": cold_then_warm}, rounds=5, warm_up=1)
    assert found["a"].p95 == pytest.approx(2000)


def test_every_single_call_can_be_had_too(bench):
    each = [[], []]
    slow_once = bench.variant("a", *[0.0001] * 30, 0.005, 0.0001)
    samples, calls = take_samples(
        [slow_once, bench.variant("b", 0.002)], rounds=5, warm_up=2, clock=bench.clock, each=each
    )
    assert [len(times) for times in each] == [5 * count for count in calls]
    # A mean of ten calls hides what one of them took.
    assert max(each[0]) == pytest.approx(5000)
    assert samples[0].max() < 1000
