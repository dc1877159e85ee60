"""Thresholds that are met, missed or not decidable, each with both values."""

import dataclasses
import re

import pytest

from tfx_shrink.efficiency_validator.checks import check_model
from tfx_shrink.efficiency_validator.settings import Settings, Thresholds
from tfx_shrink.measure.quality import Drop
from tfx_shrink.measure.speedup import Speedup
from tfx_shrink.measure.timing import Timing

TIMING = Timing(
    p50=1.0,
    p95=1.2,
    p99=2.0,
    bounds={"p50": (0.95, 1.05), "p95": (1.1, 1.3), "p99": (1.8, 2.2)},
    speedup=Speedup(2.0, 1.8, 2.2, 0.01),
)


@pytest.fixture
def check(compared):
    def run(timing=TIMING, drops=None, **thresholds):
        model = dataclasses.replace(compared.model, timings={1: timing, 32: timing})
        return check_model(
            model,
            compared.baseline,
            compared.drops if drops is None else drops,
            Thresholds(**thresholds),
            Settings(label_key="label", slice_keys=("group",)),
        )

    return run


@pytest.mark.parametrize(
    "thresholds",
    [
        {"max_bytes": 100_000},
        {"min_size_ratio": 2},
        {"min_sparsity": 0.0},
        {"max_output_difference": 0.9},
        {"max_latency_ms": {"p50": 1.1, "p99@32": 2.2}},
        {"min_speedup": 1.8},
        {"max_quality_drop": 0.2},
    ],
)
def test_what_holds_is_met(check, thresholds):
    found = check(**thresholds)
    assert found
    assert {one.verdict for one in found} == {"met"}


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({"max_bytes": 100}, r"max_bytes missed: required at most 100 bytes, measured [\d,]+ byt"),
        ({"min_size_ratio": 99}, r"min_size_ratio missed: required at least 99 times smaller, m.*"),
        ({"min_sparsity": 0.5}, "min_sparsity missed: required at least 50.0% zeros, measured "),
        ({"max_output_difference": 1e-9}, "max_output_difference missed: required at most 1e-09"),
        (
            {"max_latency_ms": {"p95@32": 1}},
            r"max_latency_ms p95 missed: required at most 1 ms at batch size 32, 1 thread\(s\), "
            r"measured 1.2 ms \[1.1, 1.3\]",
        ),
        ({"min_speedup": 2.5}, "min_speedup missed: required at least 2.5 times as fast at batch"),
    ],
)
def test_what_is_missed_is_named_with_required_and_measured(check, thresholds, words):
    assert re.match(words, str(check(**thresholds)[0]))


def test_a_speed_within_the_noise_is_not_decidable_and_says_how_to_decide_it(check):
    for thresholds in ({"min_speedup": 2.0}, {"max_latency_ms": {"p50": 1.02}}):
        first = check(**thresholds)[0]
        assert first.verdict == "not decidable"
        assert "measure on a quieter one, or with more than rounds=100" in str(first)


def test_a_worse_model_is_missed_and_too_few_rows_are_not_decidable(check):
    worse, few = Drop(0.1, 0.05, 0.15, 400), Drop(0.0, -0.1, 0.1, 12)
    first, second = check(drops={"": worse, "group=odd": few}, max_quality_drop=0.02)
    assert (first.name, first.verdict) == ("max_quality_drop", "missed")
    assert (second.name, second.verdict) == ("max_quality_drop group=odd", "not decidable")
    assert re.search(r"Not decidable with 12 examples, about 3[01]0 needed", str(second))
    assert first.measured == "0.1 worse, 0.05 worse to 0.15 worse, on 400 rows"
    assert second.measured == "0 worse, 0.1 better to 0.1 worse, on 12 rows"


def test_every_slice_must_hold(check):
    assert [one.name for one in check(max_quality_drop=0.2)] == [
        "max_quality_drop",
        "max_quality_drop group=even",
        "max_quality_drop group=odd",
    ]


def test_every_batch_size_must_hold(check):
    assert len(check(min_speedup=1.0)) == 2
    assert len(check(max_latency_ms={"p50": 9, "p95@1": 9})) == 3
