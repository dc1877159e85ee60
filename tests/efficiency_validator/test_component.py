"""What EfficiencyValidator accepts from a pipeline's author."""

import math

import pytest
from tfx import v1 as tfx

import tfx_shrink
from tfx_shrink import EfficiencyValidator
from tfx_shrink.errors import ParameterError

KINDS = tfx.types.standard_artifacts


def channel(kind):
    return tfx.dsl.Channel(type=kind)


def validator(**parameters):
    return EfficiencyValidator(
        model=channel(KINDS.Model),
        baseline_model=channel(KINDS.Model),
        examples=channel(KINDS.Examples),
        **parameters,
    )


def test_its_blessing_is_what_the_stock_pusher_takes():
    made = validator(max_bytes=1000)
    assert made.outputs["blessing"].type is KINDS.InfraBlessing
    tfx.components.Pusher(
        model=channel(KINDS.Model),
        infra_blessing=made.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory="/srv/models")
        ),
    )


def test_the_report_has_a_type_that_kubeflow_can_import():
    report = validator(max_bytes=1000).outputs["report"].type
    assert report is tfx_shrink.CompressionReport
    assert report.TYPE_NAME == "tfx_shrink.CompressionReport"
    assert not report.PROPERTIES


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "No threshold is given"),
        ({"max_latency_ms": {}}, "No threshold is given"),
        ({"max_bytes": 0}, "`max_bytes` must be above 0, and finite. Received: max_bytes=0"),
        ({"min_sparsity": 1.5}, "`min_sparsity` is a share, so at most 1"),
        ({"min_speedup": -1}, "`min_speedup` must be above 0"),
        (
            {"min_speedup": True},
            "`min_speedup` must be above 0, and finite. Received: min_speedup=True",
        ),
        ({"min_size_ratio": math.inf}, "`min_size_ratio` must be above 0, and finite"),
        ({"max_output_difference": -0.1}, "`max_output_difference` must be at least 0"),
        ({"max_latency_ms": {"p90": 1}}, "`max_latency_ms` knows 'p50', 'p95' and 'p99'"),
        ({"max_latency_ms": {"p50": 0}}, r"`max_latency_ms\['p50'\]` must be above 0"),
        ({"max_latency_ms": {"p50@8": 1}}, "names a batch size that is not timed: 'p50@8'"),
        ({"max_latency_ms": 3}, "must be milliseconds by percentile"),
        ({"max_quality_drop": 0.01}, "`max_quality_drop` needs `label_key`"),
        ({"max_bytes": 1, "slice_keys": ["a"]}, "`slice_keys` needs `label_key`"),
        ({"max_bytes": 1, "metric": "f1"}, "`metric` must be one of"),
        ({"max_bytes": 1, "batch_sizes": []}, "`batch_sizes` must be numbers of rows"),
        ({"max_bytes": 1, "batch_sizes": [0]}, "`batch_sizes` must be numbers of rows"),
        ({"max_bytes": 1, "rounds": 0}, "`rounds` must be at least 1"),
        ({"max_bytes": 1, "batch_sizes": 32}, "`batch_sizes` must be numbers of rows"),
        ({"max_bytes": 1, "seed": -1}, "`seed` must be at least 0"),
        ({"max_bytes": 1, "time_limit": 0}, "`time_limit` must be above 0"),
        (
            {"max_bytes": 1, "slice_keys": "hour", "label_key": "a"},
            "`slice_keys` must be a sequence of features' names",
        ),
        ({"max_bytes": 1, "splits": "eval"}, "`splits` must be a sequence"),
    ],
)
def test_bad_parameters_are_refused_when_the_pipeline_is_written(parameters, words):
    with pytest.raises(ParameterError, match=words.replace("(", r"\(")):
        validator(**parameters)


def test_runtime_parameters_are_accepted():
    validator(
        min_speedup=tfx.dsl.experimental.RuntimeParameter("speedup", float, 1.5),
        max_quality_drop=0.1,
        slice_keys=["hour"],
        label_key=tfx.dsl.experimental.RuntimeParameter("label", str),
    )
