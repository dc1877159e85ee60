"""Drops with intervals that hold on other rows."""

import numpy as np
import pytest

from tfx_shrink.measure.interval import paired_proportions
from tfx_shrink.measure.quality import Drop, quality, quality_drop


def scores(answers, classes=3):
    return np.eye(classes)[answers]


def test_a_drop_is_what_is_worse_on_the_same_rows():
    labels = np.zeros(1000, int)
    model = labels.copy()
    model[:30] = 1
    drop = quality_drop("accuracy", scores(labels), scores(model), labels)
    assert drop.value == pytest.approx(0.03)
    assert 0.015 < drop.low < 0.03 < drop.high < 0.045
    assert drop.rows == 1000


def test_few_rows_that_agree_are_no_proof():
    labels = np.zeros(10, int)
    drop = quality_drop("accuracy", scores(labels), scores(labels), labels)
    assert drop.value == 0
    assert drop.high > 0.1


def test_a_lower_error_is_better():
    labels = np.zeros([200, 1])
    noise = np.random.RandomState(0).randn(200, 1)
    drop = quality_drop("mse", noise, 2 * noise, labels)
    assert drop.value == pytest.approx(3 * np.mean(noise**2))
    assert drop.low > 0


def test_one_row_says_nothing_of_an_error():
    drop = quality_drop("mse", np.ones([1, 1]), np.ones([1, 1]), np.zeros([1, 1]))
    assert drop.high == np.inf


def test_the_area_under_the_curve_has_an_interval_of_resampled_rows():
    random = np.random.RandomState(0)
    labels = random.randint(2, size=400)
    good, bad = labels + 0.5 * random.randn(400), labels + 2 * random.randn(400)
    drop = quality_drop("auc", good, bad, labels)
    assert 0 < drop.low < drop.value < drop.high
    found = quality("auc", bad, labels)
    assert found.low < found.value < found.high


def test_the_intervals_hold_as_often_as_they_say():
    """Of 400 samples of 300 rows, the interval holds the true drop in 95 %, give or take."""
    random = np.random.RandomState(0)
    held = 0
    for _ in range(400):
        kinds = random.choice(3, size=300, p=[0.9, 0.07, 0.03])
        mean, half = paired_proportions(kinds != 2, kinds != 1)
        held += abs(mean - 0.04) <= half
    assert held / 400 > 0.92


def test_rows_needed_grow_with_the_square_of_the_distance():
    drop = Drop(0.02, 0.0, 0.04, 100)
    assert drop.rows_needed(0.03) == 400
    assert drop.rows_needed(0.021) == 40_000
    assert drop.rows_needed(0.02) is None
