"""A real Prometheus watches the model of TensorFlow Serving, a puller and the exporter.

Every alert is driven to firing and back by a fault. All durations are divided by FACTOR; that they
hold as they are is what tests/tools/test_serving_rules.py proves.
"""

import contextlib
import http.server
import json
import os
import socket
import threading
import time
import urllib.error

import pytest
import tensorflow as tf
from support import answering, bucket, plots, pulling
from support.manifests import PROJECT, SERVING
from support.serving_model import Flags, ModelServer, rest
from support.watched import Prometheus, quickened, wait_for
from tensorflow_serving.apis import prediction_log_pb2

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.puller.pull import pull
from tfx_shrink.serving import export_status as exporter
from tfx_shrink.serving.canary import promote_watched
from tfx_shrink.serving.canary_rule import Rule

pytestmark = pytest.mark.tools
FACTOR = 60
FAST = {
    "file_system_poll_wait_seconds": 0.2,
    "model_config_file_poll_wait_seconds": 0.2,
    "manage_state_interval_micros": 50_000,
    "num_load_threads": 2,
    "load_retry_interval_micros": 500_000,
    "allow_version_labels_for_unavailable_models": True,
}
PICTURE = PROJECT / "build/e2e-serving/dashboard.png"
DASHBOARD = SERVING / "components/grafana-dashboard/dashboard.json"
# The model of TensorFlow Serving neither batches nor counts these.
STUB_PAGE = """\
# TYPE :tensorflow:core:direct_session_runs counter
:tensorflow:core:direct_session_runs{{}} {fast}
# TYPE :tensorflow:core:graph_runs counter
:tensorflow:core:graph_runs{{}} {fast}
# TYPE :tensorflow:core:graph_run_time_usecs counter
:tensorflow:core:graph_run_time_usecs{{}} {fast}
# TYPE :tensorflow:serving:batching_session:wrapped_run_count counter
:tensorflow:serving:batching_session:wrapped_run_count{{}} {fast}
# TYPE :tensorflow:serving:batching_session:queuing_latency histogram
:tensorflow:serving:batching_session:queuing_latency_bucket{{thread_pool_name="t",le="1000"}} {fast}
:tensorflow:serving:batching_session:queuing_latency_bucket{{thread_pool_name="t",le="5e+05"}} {all}
:tensorflow:serving:batching_session:queuing_latency_bucket{{thread_pool_name="t",le="+Inf"}} {all}
:tensorflow:serving:batching_session:queuing_latency_sum{{thread_pool_name="t"}} {all}
:tensorflow:serving:batching_session:queuing_latency_count{{thread_pool_name="t"}} {all}
"""


class Batching:
    """A page of a server that batches; its queue is slow while `slow`."""

    def __init__(self):
        self.slow, self._fast, self._all = False, 0, 0
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page._all += 100
                page._fast += 0 if page.slow else 100
                body = STUB_PAGE.format(fast=page._fast, all=page._all).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Stage:
    """Two servers, stable and canary, a puller, the exporter and Prometheus."""

    def __init__(self, directory, prometheus, monkeypatch, numbers):
        self.prometheus, self.numbers = prometheus, numbers
        self.destination, store = pulling.new("file", directory)
        self.bucket = pulling.Unreachable(store)
        self.served = directory / "served"
        self.delay, self.bad = {}, set()
        self._servers, self._stack = {}, contextlib.ExitStack()
        self._slow_down(monkeypatch)
        publish(numbers[1], self.destination, mode="pinned")
        publish(numbers[2], self.destination, mode="pinned", label="canary")
        # A server that has not read the first of two files in time refuses the second for ever.
        options = {"poll_seconds": 0.2, "settle_seconds": 3.0, "store": self.bucket}
        pull(self.destination.url, str(self.served), ["digits"], once=True, **options)
        puller_port, status_port = _free_port(), _free_port()
        self._run(
            pull, self.destination.url, str(self.served), ["digits"], port=puller_port, **options
        )
        for track in ("stable", "canary"):
            self.start(track)
        monkeypatch.setattr(exporter, "servers_of", lambda _: self.addresses())
        self._run(
            exporter.export_status,
            "tfserving-pods:8500",
            ["digits"],
            bucket=self.destination.url,
            port=status_port,
            poll_seconds=0.2,
        )
        self.batching = Batching()
        self._stack.callback(self.batching.close)
        labels = {"namespace": "serving", "track": "stable"}
        prometheus.set_targets("tfserving-pull", {f"127.0.0.1:{puller_port}": labels})
        prometheus.set_targets("tfserving-status", {f"127.0.0.1:{status_port}": labels})
        for track in ("stable", "canary"):
            self._run(self._ask, track)

    def start(self, track, config=None):
        """Starts a server, on other ports than before."""
        config = config or self.served / "models.config"
        self._servers[track] = ModelServer(Flags(model_config_file=str(config), **FAST))
        if hasattr(self, "batching"):
            self.find_targets()

    def stop(self, track):
        self._servers.pop(track).close()

    def find_targets(self):
        """Tells Prometheus where the servers are."""
        targets = {
            f"127.0.0.1:{server.rest_port}": {"namespace": "serving", "track": track}
            for track, server in self._servers.items()
        }
        targets[self.batching.address] = {"namespace": "serving", "track": "stable"}
        self.prometheus.set_targets("tfserving", targets)

    def addresses(self):
        return [f"127.0.0.1:{server.grpc_port}" for server in self._servers.values()]

    def answers(self, label):
        """What the stable pods answer under a label, or None where they refuse."""
        with contextlib.suppress(OSError):
            return answering.ask_rest(self._servers["stable"], f"/labels/{label}")
        return None

    def close(self):
        self._stack.close()
        for track in list(self._servers):
            self.stop(track)

    def _run(self, work, *arguments, **options):
        stop = threading.Event()
        thread = threading.Thread(target=work, args=arguments, kwargs={**options, "stop": stop})
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(stop.set)

    def _ask(self, track, stop):
        """A client; while its track is bad every second request is wrong."""
        bad = False
        while not stop.wait(0.02):
            server, bad = self._servers.get(track), not bad and track in self.bad
            path = "/labels/nobody" if bad else f"/labels/{track}"
            if server is not None:
                with contextlib.suppress(OSError, urllib.error.URLError):
                    answering.ask_rest(server, path)

    def _slow_down(self, monkeypatch):
        real = rest.answer_predict

        def answer_predict(core, request, metrics):
            for track, server in list(self._servers.items()):
                if server.core is core:
                    time.sleep(self.delay.get(track, 0))
            return real(core, request, metrics)

        monkeypatch.setattr(rest, "answer_predict", answer_predict)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
        made = Stage(tmp_path_factory.mktemp("stage"), prometheus, monkeypatch_module, numbers)
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
        publish(broken, stage.destination, mode="pinned", label="canary")
        expect(stage, "TFServingLoadFailing", "TFServingPublishedVersionNotServed")
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
