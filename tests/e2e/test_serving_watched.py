"""A real Prometheus watches the model of TensorFlow Serving, a puller and the exporter.

Every alert is driven to firing and back by a fault. All durations are divided by FACTOR; that they
hold as they are is what tests/tools/test_serving_rules.py proves.
"""

import contextlib
import json
import os
import threading

import pytest
import tensorflow as tf
from support import answering, bucket, plots, pulling
from support.manifests import PROJECT, SERVING
from support.waiting import wait_for
from support.watched import Prometheus, quickened
from support.watched_servers import WatchedServers
from tensorflow_serving.apis import prediction_log_pb2

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.serving.canary import promote_watched
from tfx_shrink.serving.canary_rule import Rule

pytestmark = pytest.mark.tools
FACTOR = 60
PICTURE = PROJECT / "build/e2e-serving/dashboard.png"
DASHBOARD = SERVING / "components/grafana-dashboard/dashboard.json"


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    root = tmp_path_factory.mktemp("answering")
    return {number: answering.save(root / str(number), number) for number in (1, 2, 3, 4, 5)}


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def stage(tmp_path_factory, monkeypatch_module, numbers):
    directory = tmp_path_factory.mktemp("prometheus")
    with Prometheus(directory, FACTOR) as prometheus:
        made = WatchedServers(
            tmp_path_factory.mktemp("stage"), prometheus, monkeypatch_module, numbers
        )
        made.find_targets()
        wait_for(lambda: len(prometheus.query("up == 1")) == 5, "all targets are up")
        quiet(made)
        yield made
        made.close()


def quiet(stage):
    wait_for(lambda: not stage.prometheus.firing(), lambda: f"firing: {stage.prometheus.firing()}")


@contextlib.contextmanager
def fault(stage):
    """In the context there is a fault; before and afterwards no alert fires."""
    quiet(stage)
    yield
    quiet(stage)


def expect(stage, *alerts):
    wait_for(
        lambda: set(alerts) <= stage.prometheus.firing(),
        lambda: f"{alerts} are to fire, and {stage.prometheus.firing()} do",
    )


def test_a_server_that_is_stopped(stage):
    with fault(stage):
        stage.stop("canary")
        expect(stage, "TFServingTargetDown")
        stage.start("canary")


def test_no_server_is_found(stage):
    with fault(stage):
        stage.prometheus.set_targets("tfserving", {})
        expect(stage, "TFServingNoTarget")
        stage.find_targets()


def test_requests_that_fail(stage):
    with fault(stage):
        stage.bad.add("stable")
        expect(stage, "TFServingErrorRatioHigh")
        stage.bad.clear()


def test_requests_that_are_slow(stage):
    with fault(stage):
        stage.delay.update(stable=0.7)
        expect(stage, "TFServingLatencyHigh")
        stage.delay.clear()


def test_a_canary_that_fails_more_often(stage):
    with fault(stage):
        stage.bad.add("canary")
        expect(stage, "TFServingCanaryWorse")
        stage.bad.clear()


def test_a_canary_that_is_slower(stage):
    with fault(stage):
        stage.delay.update(canary=0.2)
        expect(stage, "TFServingCanaryWorse")
        stage.delay.clear()


def test_requests_that_wait_for_a_batch(stage):
    with fault(stage):
        stage.batching.slow = True
        expect(stage, "TFServingBatchingQueueLong")
        stage.batching.slow = False


def test_a_puller_that_is_blocked(stage):
    with fault(stage):
        stage.bucket.down = pulling.METHODS
        publish(stage.numbers[3], stage.destination, mode="pinned")
        expect(stage, "TFServingPublishedVersionNotServed")
        stage.bucket.down = ()


def test_pods_that_serve_different_versions(stage, tmp_path):
    with fault(stage):
        old = tmp_path / "models.config"
        old.write_text((stage.served / "models.config").read_text())
        stage.stop("canary")
        stage.start("canary", old)
        publish(stage.numbers[4], stage.destination, mode="pinned")
        expect(stage, "TFServingVersionSkew")
        stage.stop("canary")
        stage.start("canary")


def test_a_version_that_cannot_be_loaded(stage, tmp_path):
    with fault(stage):
        broken = bucket.write_model(str(tmp_path / "broken"))
        # The push waits for servers, and the first alert is over before the second one fires.
        pushing = threading.Thread(
            target=publish,
            args=[broken, stage.destination],
            kwargs={"mode": "pinned", "label": "canary"},
        )
        pushing.start()
        expect(stage, "TFServingLoadFailing")
        expect(stage, "TFServingPublishedVersionNotServed")
        pushing.join()
        publish(stage.numbers[2], stage.destination, mode="pinned", label="canary")


def test_a_version_whose_warm_up_fails(stage, tmp_path):
    with fault(stage):
        model = answering.save(tmp_path / "model", 6)
        write_wrong_warmup(model)
        publish(model, stage.destination, mode="pinned", label="canary")
        expect(stage, "TFServingWarmupFailing")
        publish(stage.numbers[2], stage.destination, mode="pinned", label="canary")


def test_a_bad_canary_is_taken_back_and_a_good_one_promoted(stage):
    stage.bad.add("canary")
    outcome = watch(stage)
    stage.bad.clear()
    assert not outcome.promoted
    assert "canary" not in outcome.labels
    publish(stage.numbers[5], stage.destination, mode="pinned", label="canary")
    wait_for(lambda: stage.answers("canary") == 5, "the canary answers")
    outcome = watch(stage)
    assert outcome.promoted, outcome
    wait_for(lambda: stage.answers("stable") == 5, "the canary is stable")
    rollback(stage.destination)
    wait_for(lambda: stage.answers("stable") != 5, "the roll-back")


def watch(stage):
    # Seconds of requests on a busy machine: their p99 says little.
    rule = Rule(watch_seconds=15, min_requests=50, max_latency_ratio=20)
    return promote_watched(stage.destination, stage.prometheus.url, rule=rule, poll_seconds=1)


def write_wrong_warmup(model):
    """One request for an input that the model does not have."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = "digits"
    request.inputs["wrong"].CopyFrom(tf.make_tensor_proto(answering.ROW))
    os.makedirs(os.path.join(model, "assets.extra"))
    path = os.path.join(model, "assets.extra", "tf_serving_warmup_requests")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(log.SerializeToString())


def test_every_query_of_the_dashboard_has_data(stage):
    board = json.loads(DASHBOARD.read_text())

    def history(query):
        for name, value in (("$__rate_interval", "5s"), ("$namespace", ".*"), ("$model", ".*")):
            query = query.replace(name, value)
        return stage.prometheus.history(query, 300)

    panels = [
        (panel["title"], [history(target["expr"]) for target in panel["targets"]])
        for panel in board["panels"]
        if "targets" in panel
    ]
    assert [title for title, found in panels if not all(found)] == []
    (annotation,) = board["annotations"]["list"]
    published = history(quickened(annotation["expr"], FACTOR))
    assert published
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    panels = [(title, [one for series in found for one in series]) for title, found in panels]
    plots.draw([*panels, ("Published", published)], PICTURE)
