"""Every query of the dashboard is one, of metrics that something exposes."""

import json
import re

import pytest
import yaml
from support.manifests import SERVING
from support.prometheus_rules import promtool, rules

pytestmark = pytest.mark.tools
DASHBOARD = SERVING / "components" / "grafana-dashboard" / "dashboard.json"

# What TensorFlow Serving 2.16, TensorFlow's runtime, the puller and the exporter expose.
KNOWN = {
    "up",
    ":tensorflow:cc:saved_model:load_attempt_count",
    ":tensorflow:cc:saved_model:load_latency",
    ":tensorflow:core:direct_session_runs",
    ":tensorflow:core:graph_run_time_usecs",
    ":tensorflow:core:graph_runs",
    ":tensorflow:serving:batching_session:queuing_latency",
    ":tensorflow:serving:batching_session:wrapped_run_count",
    ":tensorflow:serving:model_warmup_latency",
    ":tensorflow:serving:request_count",
    ":tensorflow:serving:request_latency",
    ":tensorflow:serving:runtime_latency",
    "tfserving_model_version_state",
    "tfserving_published_version",
    "tfserving_status_up",
    "tfserving_wanted_version",
    "tfx_shrink_pull_bytes_total",
    "tfx_shrink_pull_failures_total",
    "tfx_shrink_pull_lag_seconds",
    "tfx_shrink_pull_last_success_timestamp_seconds",
}
_TEXT = re.compile(r'"[^"]*"')
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def dashboard_queries():
    board = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return queries + [item["expr"] for item in board["annotations"]["list"]]


def names_in(expression):
    """The metrics that an expression asks for; a histogram by its own name."""
    words = _NAME.findall(_TEXT.sub("", expression))
    metrics = {word for word in words if ":" in word or word == "up" or word.startswith("tf")}
    return {re.sub(r"(?<=latency)_(bucket|sum|count)$", "", name) for name in metrics}


def test_every_query_of_the_dashboard_is_one(tmp_path):
    queries = dashboard_queries()
    assert len(queries) > 20
    records = [
        {"record": f"query_{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    group = {"groups": [{"name": "dashboard", "rules": records}]}
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump(group))
    promtool("check", "rules", "queries.yaml", cwd=tmp_path)


def test_every_metric_that_is_asked_for_is_known():
    known = KNOWN | set(rules("record"))
    asked = [rule["expr"] for kind in ("record", "alert") for rule in rules(kind).values()]
    for query in [*asked, *dashboard_queries()]:
        names = names_in(query)
        assert names or query.startswith("vector"), query
        assert names <= known, query
