"""Drops with intervals that hold on other rows."""

import numpy as np
import pytest

from tfx_shrink.errors import ExamplesError
from tfx_shrink.measure.interval import half_of_paired_proportions, paired_counts
from tfx_shrink.measure.metrics import correct, two_classes
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
        worse, better = paired_counts(kinds != 2, kinds != 1)
        half = half_of_paired_proportions(worse, better, 300)
        held += abs((worse - better) / 300 - 0.04) <= half
    assert held / 400 > 0.92


def test_few_rows_of_errors_hold_no_drop_that_is_not_there():
    """The true drop is 0: of 1,000 samples of five rows, at most 4 % say that it is below 0."""
    random = np.random.RandomState(0)
    wrong = 0
    for _ in range(1000):
        baseline, model = random.randn(2, 5, 1)
        drop = quality_drop("mse", baseline, model, np.zeros([5, 1]))
        wrong += drop.high < 0
    assert wrong / 1000 < 0.04


def test_an_area_of_few_rows_or_of_one_class_has_no_interval():
    labels = np.array([0, 1])
    drop = quality_drop("auc", labels + 0.0, labels + 0.0, labels)
    assert (drop.low, drop.high) == (-np.inf, np.inf)
    drop = quality_drop("auc", np.zeros(3), np.zeros(3), np.ones(3, int))
    assert np.isnan(drop.value)
    assert drop.rows_needed(0.1) is None


def test_one_rule_says_what_a_logit_is():
    logits = np.array([0.2, 0.3, 0.4])
    right = correct(two_classes(logits, True), np.ones(3, int))
    assert right.all()
    assert not correct(two_classes(logits, False), np.ones(3, int)).any()


def test_one_hot_labels_are_classes():
    assert correct(np.eye(3), np.eye(3)).all()
    with pytest.raises(ExamplesError, match="a label must be one class"):
        correct(np.eye(3), np.ones([3, 2]))


def test_rows_needed_are_those_that_decide():
    drop = Drop(0.02, 0.0, 0.04, 100)
    assert drop.rows_needed(0.03) == pytest.approx(400, rel=0.05)
    assert drop.rows_needed(0.02) is None
    labels = np.zeros(638, int)
    never = quality_drop("accuracy", scores(labels), scores(labels), labels)
    needed = never.rows_needed(0.001)
    labels = np.zeros(needed, int)
    assert quality_drop("accuracy", scores(labels), scores(labels), labels).high <= 0.001
    assert needed < 2100
