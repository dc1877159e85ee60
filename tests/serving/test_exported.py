"""A server that would export nothing is refused, and the text says why."""

import pytest

from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.config_text import parse_batching, parse_monitoring
from tfx_shrink.serving.exported import check_exported, check_manifests

GOOD = [
    "--port=8500",
    "--rest_api_port=8501",
    "--monitoring_config_file=/config/monitoring.config",
]
ON = {"monitoring.config": 'prometheus_config { enable: true path: "/metrics" }'}


def test_rest_and_a_monitoring_configuration_export_metrics():
    check_exported(GOOD, ON)


@pytest.mark.parametrize(
    ("arguments", "configs", "said"),
    [
        ([], ON, "REST only: it needs `--rest_api_port`"),
        (["--rest_api_port=0", GOOD[2]], ON, "REST only: it needs `--rest_api_port`"),
        (["--port=8501", *GOOD[1:]], ON, "must not be `--port`.*Received: --port=8501"),
        (["--rest_api_port=8500", GOOD[2]], ON, "must not be `--port`.*--rest_api_port=8500"),
        (GOOD[:2], ON, "only with `--monitoring_config_file`"),
        (GOOD, {}, "no file monitoring.config is there"),
        (GOOD, {"monitoring.config": ""}, "must hold `prometheus_config { enable: true }`"),
        (GOOD, {"monitoring.config": "prometheus_config {}"}, "must hold"),
        (GOOD, {"monitoring.config": "prometheus { enable: true }"}, "no MonitoringConfig"),
    ],
)
def test_a_server_that_exports_nothing_is_refused(arguments, configs, said):
    with pytest.raises(ParameterError, match=said):
        check_exported(arguments, configs)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Service\nmetadata: {name: x}\n", "No container of the manifests"),
        ("a: b: c", "no YAML"),
        ("", "No container"),
    ],
)
def test_manifests_without_a_server_are_refused(text, said):
    with pytest.raises(ParameterError, match=said):
        check_manifests(text)


def test_batching_is_read_as_the_server_reads_it():
    found = parse_batching("max_batch_size { value: 8 } allowed_batch_sizes: [2, 8]")
    assert found.max_batch_size.value == 8
    assert parse_monitoring(ON["monitoring.config"]).prometheus_config.path == "/metrics"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_batch_size: 8", "no BatchingParameters"),
        ("max_batch { value: 8 }", "no BatchingParameters"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]", "must rise, and end in"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [8, 4, 8]", "must rise, and end in"),
    ],
)
def test_batching_that_the_server_refuses_is_refused(text, said):
    with pytest.raises(ParameterError, match=said):
        parse_batching(text)
