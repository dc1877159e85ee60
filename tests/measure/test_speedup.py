"""A difference counts only where two copies of one model differ less."""

import numpy as np
import pytest

from tfx_shrink.measure.speedup import compare_times, percentile_bounds, spread_of


def times(seconds, noise=0.0, seed=0, rounds=100, copies=(1.0, 1.0)):
    random = np.random.RandomState(seed)
    return np.array([seconds * copy * np.exp(noise * random.randn(rounds)) for copy in copies])


def test_a_model_twice_as_fast_is_faster():
    found = compare_times(times(2.0, 0.05), times(1.0, 0.05, seed=1))
    assert found.value == pytest.approx(2.0, rel=0.03)
    assert 1.7 < found.low < 2 < found.high < 2.3


def test_a_difference_that_copies_of_one_model_show_too_is_none():
    found = compare_times(times(1.1, copies=(1.0, 1.08)), times(1.0))
    assert found.floor == pytest.approx(0.08)
    assert found.low < 1 < found.high


def test_less_than_five_percent_are_never_told():
    found = compare_times(times(1.04), times(1.0))
    assert found.low < 1 < found.high


def test_a_machine_that_slows_down_slows_both():
    slower = np.linspace(1, 3, 100)
    found = compare_times(times(2.0) * slower, times(1.0) * slower)
    assert found.value == pytest.approx(2.0)
    assert found.low > 1.8


def test_times_of_nothing_but_noise_are_told_apart_in_none_of_a_thousand_runs():
    told = 0
    for seed in range(1000):
        random = np.random.RandomState(seed)
        # Each copy has a bias of its own, of two percent.
        biases = np.exp(0.02 * random.randn(4))
        own, other = (
            times(1.0, 0.1, seed=seed * 2 + number, copies=biases[2 * number : 2 * number + 2])
            for number in range(2)
        )
        found = compare_times(other, own)
        told += not found.low < 1 < found.high
    assert told == 0


def test_the_spread_is_at_least_five_percent():
    assert spread_of(times(1.0)) == pytest.approx(0.05)
    assert spread_of(times(1.0, copies=(1.0, 1.1))) == pytest.approx(1.1**3 - 1)


def test_a_percentile_has_bounds_that_hold_it_and_none_where_calls_are_too_few():
    random = np.random.RandomState(0)
    held = 0
    for _ in range(300):
        low, high = percentile_bounds(random.rand(2000), 0.99)
        held += low <= 0.99 <= high
    assert held / 300 > 0.92
    assert percentile_bounds(random.rand(100), 0.99)[1] == np.inf
