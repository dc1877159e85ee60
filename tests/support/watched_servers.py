"""What Prometheus watches: two servers, a puller, the exporter, and a client that asks."""

import contextlib
import http.server
import threading
import time

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.puller.pull import pull
from tfx_shrink.serving import export_status as exporter

from . import answering, pulling
from .serving_model import Flags, ModelServer, rest
from .waiting import free_port

FAST = {
    "file_system_poll_wait_seconds": 0.2,
    "model_config_file_poll_wait_seconds": 0.2,
    "manage_state_interval_micros": 50_000,
    "num_load_threads": 2,
    "load_retry_interval_micros": 500_000,
    "allow_version_labels_for_unavailable_models": True,
}
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


class WatchedServers:
    """Two servers, stable and canary, a puller, the exporter and a client, for Prometheus to watch.

    Attributes:
      delay: Seconds that every answer of a track takes longer, by track; for tests to set.
      bad: Tracks of which every second request is wrong; for tests to fill.
    """

    def __init__(self, directory, prometheus, monkeypatch, numbers):
        self.prometheus, self.numbers = prometheus, numbers
        self.destination, store = pulling.new("file", directory)
        self.bucket = pulling.Unreachable(store)
        self.served = directory / "served"
        self.delay, self.bad = {}, set()
        self._servers, self._stack = {}, contextlib.ExitStack()
        self.batching = Batching()
        self._stack.callback(self.batching.close)
        self._slow_down(monkeypatch)
        publish(numbers[1], self.destination, mode="pinned")
        publish(numbers[2], self.destination, mode="pinned", label="canary")
        # A server that has not read the first of two files in time refuses the second for ever.
        options = {"poll_seconds": 0.2, "settle_seconds": 3.0, "store": self.bucket}
        pull(self.destination.url, str(self.served), ["digits"], once=True, **options)
        puller_port, status_port = free_port(), free_port()
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
        labels = {"namespace": "serving", "track": "stable"}
        prometheus.set_targets("tfserving-pull", {f"127.0.0.1:{puller_port}": labels})
        prometheus.set_targets("tfserving-status", {f"127.0.0.1:{status_port}": labels})
        for track in ("stable", "canary"):
            self._run(self._ask, track)

    def start(self, track, config=None):
        """Starts a server, on other ports than before."""
        config = config or self.served / "models.config"
        self._servers[track] = ModelServer(Flags(model_config_file=str(config), **FAST))
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
                with contextlib.suppress(OSError):
                    answering.ask_rest(server, path)

    def _slow_down(self, monkeypatch):
        real = rest.answer_predict

        def answer_predict(core, request, metrics):
            for track, server in list(self._servers.items()):
                if server.core is core:
                    time.sleep(self.delay.get(track, 0))
            return real(core, request, metrics)

        monkeypatch.setattr(rest, "answer_predict", answer_predict)
