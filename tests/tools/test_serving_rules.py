"""Every alert fires after its real duration, not before, and stops: promtool's unit tests."""

import pytest
import yaml
from support.manifests import SERVING
from support.prometheus_rules import RULES, promtool, rules

pytestmark = pytest.mark.tools
MODEL = {"namespace": "serving", "track": "stable", "model_name": "digits"}
POD = {"namespace": "serving", "track": "stable", "instance": "10.0.0.1:8501", "job": "tfserving"}
STATUS = {"namespace": "serving", "track": "stable", "job": "tfserving-status"}

COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
LOADS = ":tensorflow:cc:saved_model:load_attempt_count"
WARMUP = ":tensorflow:serving:model_warmup_latency_count"
QUEUE = ":tensorflow:serving:batching_session:queuing_latency_bucket"
STATE = "tfserving_model_version_state"


def series(name, values, **labels):
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{inner}}}", "values": values}


def check(tmp_path, alert, input_series, moments):
    """At each minute of `moments` the alert fires as often as there are {labels, summary} pairs."""
    rule = rules("alert")[alert]
    tests = [
        {
            "eval_time": f"{minute}m",
            "alertname": alert,
            "exp_alerts": [
                {
                    "exp_labels": {**labels, **rule["labels"]},
                    "exp_annotations": {**rule["annotations"], "summary": summary},
                }
                for labels, summary in fired
            ],
        }
        for minute, fired in moments.items()
    ]
    (tmp_path / "rules.yaml").write_text(RULES.read_text())
    content = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": input_series, "alert_rule_test": tests}],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(content))
    promtool("test", "rules", "test.yaml", cwd=tmp_path)


def test_the_rules_are_rules():
    assert "SUCCESS" in promtool("check", "rules", str(RULES))


def test_the_scrape_configuration_is_one(tmp_path):
    config = yaml.safe_load((RULES.parent / "prometheus.yaml").read_text())
    for job in config["scrape_configs"]:
        # Debian builds Prometheus without Kubernetes's discovery.
        (discovery,) = job.pop("kubernetes_sd_configs")
        assert discovery == {"role": "pod", "namespaces": {"names": ["serving"]}}
        job["static_configs"] = [{"targets": ["localhost:8501"]}]
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "rules.yaml").write_text(RULES.read_text())
    promtool("check", "config", "prometheus.yaml", cwd=tmp_path)


def test_a_target_that_is_down_for_five_minutes(tmp_path):
    fired = [(POD, "10.0.0.1:8501 (tfserving) does not answer Prometheus.")]
    check(
        tmp_path,
        "TFServingTargetDown",
        [series("up", "1x9 0x14 1x20", **POD)],
        {14: [], 15: fired, 24: fired, 25: []},
    )


@pytest.mark.parametrize("job", ["tfserving-pull", "tfserving-status"])
def test_a_puller_or_exporter_that_is_down(job, tmp_path):
    labels = {**POD, "job": job}
    fired = [(labels, f"10.0.0.1:8501 ({job}) does not answer Prometheus.")]
    check(tmp_path, "TFServingTargetDown", [series("up", "0x9", **labels)], {4: [], 5: fired})


def test_no_target_at_all(tmp_path):
    fired = [({"job": "tfserving"}, "Prometheus finds no TensorFlow Serving at all.")]
    check(
        tmp_path,
        "TFServingNoTarget",
        [series("up", "_x10 1x20", **POD)],
        {4: [], 5: fired, 9: fired, 10: []},
    )


def requests(errors, successes="0+60x60", status="INTERNAL", **labels):
    return [
        series(f"{LATENCY}_count", successes, **{**POD, **labels}, model_name="digits", API="p"),
        series(COUNT, errors, **{**POD, **labels}, model_name="digits", status=status),
    ]


def test_an_error_ratio_above_five_percent(tmp_path):
    # From minute 11 on every third request fails, until minute 30.
    errors = "0+0x10 30+30x19 600x30"
    fired = [(MODEL, "33.33% of the requests to digits (stable) fail.")]
    check(
        tmp_path,
        "TFServingErrorRatioHigh",
        requests(errors),
        {15: [], 20: fired, 30: fired, 40: []},
    )


def test_all_requests_failing_is_an_error_ratio_of_one(tmp_path):
    fired = [(MODEL, "100% of the requests to digits (stable) fail.")]
    check(
        tmp_path,
        "TFServingErrorRatioHigh",
        [series(COUNT, "0+60x30", **POD, model_name="digits", status="UNAVAILABLE")],
        {5: [], 10: fired},
    )


def test_one_error_in_a_hundred_is_no_alert(tmp_path):
    check(tmp_path, "TFServingErrorRatioHigh", requests("0+0.6x60"), {30: [], 50: []})


def test_probes_neither_hide_nor_cause_an_error_ratio(tmp_path):
    # Probes are answered a hundred times as often as clients, of whom a tenth fails.
    probes = [
        series(f"{LATENCY}_count", "0+600x60", **POD, model_name="digits", API=""),
        series(COUNT, "0+600x60", **POD, model_name="digits", status="OK"),
    ]
    clients = requests("0+0.6x60", "0+5.4x60")
    check(
        tmp_path,
        "TFServingErrorRatioHigh",
        [*probes, *clients],
        {30: [(MODEL, "10% of the requests to digits (stable) fail.")]},
    )
    # While a model loads they are told NOT_FOUND.
    starting = requests("0+60x60", status="NOT_FOUND")
    check(tmp_path, "TFServingErrorRatioHigh", starting, {30: []})


def latencies(fast, slow, le="100000", **labels):
    """`fast` requests are answered within `le` microseconds, all within a second."""
    labels = {**POD, **labels, "model_name": "digits", "API": "predict"}
    name = f"{LATENCY}_bucket"
    return [
        series(name, fast, **labels, le=le),
        series(name, slow, **labels, le="1e+06"),
        series(name, slow, **labels, le="+Inf"),
    ]


def test_a_p99_above_the_objective_for_ten_minutes(tmp_path):
    # From minute 11 on a tenth needs more than 0.1 s, until minute 40.
    fast = "0+60x10 654+54x29 2280+60x20"
    slow = "0+60x60"
    fired = [(MODEL, "p99 of digits (stable) is 910ms.")]
    check(
        tmp_path,
        "TFServingLatencyHigh",
        latencies(fast, slow),
        {20: [], 25: fired, 40: fired, 50: []},
    )


def test_a_load_that_fails_alerts_at_once_and_for_ten_minutes(tmp_path):
    labels = {**POD, "model_path": "/models/digits/8", "status": "fail"}
    fired = [(labels, "10.0.0.1:8501 cannot load /models/digits/8.")]
    check(
        tmp_path,
        "TFServingLoadFailing",
        [series(LOADS, "_x10 1 2 3 4 5 6x30", **labels)],
        {9: [], 10: fired, 24: fired, 25: []},
    )


def test_a_load_that_fails_again_after_a_long_time(tmp_path):
    labels = {**POD, "model_path": "/models/digits/8", "status": "fail"}
    fired = [(labels, "10.0.0.1:8501 cannot load /models/digits/8.")]
    check(
        tmp_path,
        "TFServingLoadFailing",
        [series(LOADS, "1x39 2x30", **labels)],
        {39: [], 40: fired, 50: []},
    )


def test_a_load_that_succeeds_is_no_alert(tmp_path):
    labels = {**POD, "model_path": "/models/digits/8", "status": "success"}
    check(tmp_path, "TFServingLoadFailing", [series(LOADS, "_x10 1x9", **labels)], {10: [], 15: []})


def test_a_warm_up_request_that_fails(tmp_path):
    labels = {**POD, "model_path": "/models/digits/8", "status": "INVALID_ARGUMENT: x"}
    fired = [(labels, "10.0.0.1:8501: a warm-up request to /models/digits/8 fails.")]
    good = {**labels, "status": "OK"}
    check(
        tmp_path,
        "TFServingWarmupFailing",
        [series(WARMUP, "_x10 1 2 3x30", **labels), series(WARMUP, "_x10 1x30", **good)],
        {9: [], 10: fired, 21: fired, 22: []},
    )


def wanted(version, values):
    return series(
        "tfserving_wanted_version", values, **STATUS, model_name="digits", version=version
    )


def state(server, version, values, state="AVAILABLE"):
    labels = {**STATUS, "model_name": "digits", "version": version}
    return series(STATE, values, **labels, server=server, state=state)


def test_a_published_version_that_nobody_serves_for_fifteen_minutes(tmp_path):
    labels = {**MODEL, "version": "8"}
    fired = [(labels, "No server serves version 8 of digits.")]
    check(
        tmp_path,
        "TFServingPublishedVersionNotServed",
        [
            wanted("7", "1x4"),
            wanted("8", "_x5 1x60"),
            state("a", "7", "1x60"),
            state("a", "8", "_x10 1x20", state="LOADING"),
            state("a", "8", "_x30 1x30"),
        ],
        {19: [], 20: fired, 29: fired, 30: []},
    )


def test_a_version_that_is_loaded_in_time_is_no_alert(tmp_path):
    check(
        tmp_path,
        "TFServingPublishedVersionNotServed",
        [wanted("8", "_x4 1x60"), state("a", "8", "_x17 1x40")],
        {18: [], 20: [], 40: []},
    )


def test_pods_that_serve_different_versions_for_ten_minutes(tmp_path):
    answers = [
        series("tfserving_status_up", "1x60", **STATUS, model_name="digits", server=server)
        for server in "ab"
    ]
    fired = [
        ({**MODEL, "version": version}, f"Only 1 pods serve version {version} of digits.")
        for version in ("7", "8")
    ]
    check(
        tmp_path,
        "TFServingVersionSkew",
        [
            *answers,
            state("a", "7", "1x4 stale"),
            state("a", "8", "_x5 1x60"),
            state("b", "7", "1x24 stale"),
            state("b", "8", "_x25 1x60"),
        ],
        {14: [], 15: fired, 24: fired, 25: []},
    )


def test_requests_that_wait_for_a_batch(tmp_path):
    labels = {**POD, "thread_pool_name": "batch_threads"}
    kept = {key: labels[key] for key in ("namespace", "track", "thread_pool_name")}
    check(
        tmp_path,
        "TFServingBatchingQueueLong",
        [
            series(QUEUE, "0+60x10 660x29 720+60x30", **labels, le="100000"),
            series(QUEUE, "0+60x80", **labels, le="200000"),
            series(QUEUE, "0+60x80", **labels, le="+Inf"),
        ],
        {21: [], 22: [(kept, "Requests wait 199ms for a batch (p99).")], 60: []},
    )


WORSE = [
    (
        {"namespace": "serving", "model_name": "digits", "track": "canary"},
        "The canary of digits is worse than what is served.",
    )
]


def test_a_canary_that_fails_more_often(tmp_path):
    check(
        tmp_path,
        "TFServingCanaryWorse",
        [
            *requests("0+0x60", "0+600x60"),
            *requests("0+0x10 3+3x19 60x30", "0+60x60", track="canary"),
        ],
        {15: [], 20: WORSE, 30: WORSE, 45: []},
    )


def test_a_canary_that_is_slower(tmp_path):
    check(
        tmp_path,
        "TFServingCanaryWorse",
        [
            *latencies("0+600x60", "0+600x60"),
            *latencies("0+60x10 654+54x29 2280+60x20", "0+60x60", track="canary"),
        ],
        {15: [], 20: WORSE, 40: WORSE, 50: []},
    )


def test_a_canary_that_is_as_good_is_no_alert(tmp_path):
    check(
        tmp_path,
        "TFServingCanaryWorse",
        [
            *requests("0+1x60", "0+600x60"),
            *requests("0+0.1x60", "0+60x60", track="canary"),
            *latencies("0+540x60", "0+600x60"),
            *latencies("0+54x60", "0+60x60", track="canary"),
        ],
        {30: [], 60: []},
    )


def test_every_alert_says_what_to_do():
    for name, rule in rules("alert").items():
        assert set(rule["annotations"]) == {"summary", "action"}, name
        assert rule["labels"]["severity"] in {"critical", "warning"}, name


def test_both_copies_of_the_rules_are_one():
    operator = SERVING / "components/prometheus-operator/rules.yaml"
    copy = yaml.safe_load(operator.read_text())["spec"]
    assert copy == yaml.safe_load(RULES.read_text()), f"{operator} is not what {RULES} says"
