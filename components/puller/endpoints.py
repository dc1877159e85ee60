"""Answers probes and Prometheus over HTTP."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from tfx_shrink.errors import ParameterError
from tfx_shrink.puller.status import Status

# A piece of a file takes seconds; a request that has no answer is given up after minutes.
_HUNG_SECONDS = 1800.0


@contextlib.contextmanager
def serve(status: Status, port: int) -> Iterator[int]:
    """Serves `/healthz`, `/readyz` and `/metrics` while the context lasts.

    `/healthz` answers 200 while the work goes on, also where the bucket cannot be reached: a
    restart would mend nothing. `/readyz` answers 200 as soon as every model has a version. Both
    answer 503 otherwise, and say what is known of each model.

    Args:
      status: What to answer.
      port: On which port of every interface; 0 for one that is free.

    Yields:
      The port.

    Raises:
      ParameterError: The port is taken.
    """
    registry = CollectorRegistry()
    registry.register(status)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
            elif path in ("/healthz", "/readyz"):
                alive = status.idle_seconds() < _HUNG_SECONDS
                good = status.ready() if path == "/readyz" else alive
                body = json.dumps(status.to_json(), indent=1).encode()
                self._answer(200 if good else 503, "application/json", body)
            else:
                self._answer(404, "text/plain", b"/healthz, /readyz or /metrics\n")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds."""

    try:
        server = http.server.ThreadingHTTPServer(("", port), Handler)
    except OSError as error:
        raise ParameterError(
            f"Nothing can be served on `port` {port}: {error}. Give another one."
        ) from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
