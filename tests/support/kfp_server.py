"""A stub of KFP's API server: as much of its HTTP API as `kfp.Client` asks for."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Api:
    """What the stub answers, and what it was asked.

    Attributes:
      runs: Answers to one look at the run after the other; the last one stays.
      logs: `{pod: text}`; a pod that is missing is forbidden.
      created: The bodies of the runs that were created.
    """

    def __init__(self, runs, logs=None):
        self.runs = list(runs)
        self.logs = logs or {}
        self.created = []
        self.experiments = []

    def answer(self, method, path, body):
        path = path.partition("?")[0].replace("/apis/v2beta1/", "/")
        match method, path.strip("/").split("/"):
            case "GET", ["healthz"]:
                return 200, {"multi_user": False}
            case "GET", ["experiments"]:
                return 200, {"experiments": self.experiments}
            case "POST", ["experiments"]:
                self.experiments.append({**body, "experiment_id": "e1"})
                return 200, self.experiments[-1]
            case "POST", ["runs"]:
                self.created.append(body)
                return 200, {"run_id": "r1", "state": "PENDING"}
            case "GET", ["runs", run_id]:
                run = self.runs.pop(0) if len(self.runs) > 1 else self.runs[0]
                return 200, {"run_id": run_id, **run}
            case "GET", ["apis", "v1alpha1", "runs", "r1", "nodes", pod, "log"]:
                return (200, self.logs[pod]) if pod in self.logs else (403, {"error": "no"})
        return 404, {"error": f"the stub does not know {method} {path}"}


@contextlib.contextmanager
def serve(api):
    """Yields the URL of a server that answers as `api` says."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, answer = api.answer(self.command, self.path, body)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def task(name, state, **fields):
    return {"display_name": name, "task_id": name, "state": state, **fields}


def run(state, *tasks):
    return {"state": state, "run_details": {"task_details": list(tasks)}}
