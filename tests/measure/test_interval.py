"""Wilson's interval against published values."""

import pytest

from tfx_shrink.measure.interval import wilson_interval


# 81/263 and 15/148 are the examples of Newcombe (1998), table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (9, 10, 0.5958, 0.9821),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (500, 1000, 0.4691, 0.5309),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_interval_is_the_published_one(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


def test_interval_stays_between_zero_and_one():
    for trials in (1, 7, 10_000):
        for successes in (0, trials):
            low, high = wilson_interval(successes, trials)
            assert 0 <= low <= high <= 1
