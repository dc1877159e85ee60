"""What probes and Prometheus are answered."""

import json
import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support import bucket, pulling

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.errors import ParameterError
from tfx_shrink.puller.endpoints import serve


@pytest.fixture
def running(tmp_path):
    """(publish a model of this number, puller, store that can be down, clock)."""
    models = bucket.write_models(tmp_path / "models", 3)
    destination, store = pulling.new("memory", tmp_path)
    store, clock = pulling.Unreachable(store), pulling.Clock()
    puller = pulling.puller(store, tmp_path / "served", clock=clock)
    return lambda n: publish(models[n], destination, store=store), puller, store, clock


def ask(port, path):
    """(status, content type, body)."""
    try:
        answer = urllib.request.urlopen(f"http://127.0.0.1:{port}{path}")
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def metrics(port):
    """{(name, reason or None): value} of "digits", names without their common prefix."""
    code, kind, text = ask(port, "/metrics")
    assert code == 200
    assert kind.startswith("text/plain")
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels.get("model_name", "digits") == "digits"
            name = sample.name.removeprefix("tfx_shrink_pull_")
            found[name, sample.labels.get("reason")] = sample.value
    return found


def test_metrics_say_what_is_served_what_is_awaited_and_what_failed(running, monkeypatch):
    push, puller, store, clock = running
    with serve(puller.status, 0) as port:
        assert ("served_version", None) not in metrics(port)
        push(0)
        puller.look()
        found = metrics(port)
        assert found["served_version", None] == found["published_version", None] == 1
        assert found["lag_seconds", None] == 0
        assert found["bytes_total", None] == sum(entry.size for entry in store.list("digits/1/"))
        assert found["last_success_timestamp_seconds", None] > 1e9
        push(1)
        store.down = ("stream",)
        puller.look()
        clock.now += 12
        puller.look()
        found = metrics(port)
        assert (found["served_version", None], found["published_version", None]) == (1, 2)
        assert found["lag_seconds", None] == 12
        assert found["failures_total", "bucket"] == 2
        assert found["failures_total", "damaged"] == found["failures_total", "disk"] == 0
        store.down = ()
        puller.look()
        assert metrics(port)["served_version", None] == 2
        assert metrics(port)["lag_seconds", None] == 0


def test_readiness_waits_for_a_version_and_health_does_not_need_the_bucket(running):
    push, puller, store, clock = running
    with serve(puller.status, 0) as port:
        assert ask(port, "/healthz")[0] == 200
        assert ask(port, "/readyz")[0] == 503
        push(0)
        puller.look()
        assert ask(port, "/readyz")[0] == 200
        store.down = pulling.METHODS
        puller.look()
        for path in ("/healthz", "/readyz"):
            code, _, body = ask(port, path)
            assert code == 200
            assert json.loads(body)["digits"] == {
                "served": 1,
                "published": 1,
                "lag_seconds": 0,
                "error": "Cannot use memory://" + store.url[9:] + ": no answer.",
            }
        clock.now += 4000  # It hangs.
        assert ask(port, "/healthz")[0] == 503
        assert ask(port, "/nothing")[0] == 404


def test_a_port_that_is_taken_is_named(running):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ParameterError, match=f"`port` {port}"), serve(running[1].status, port):
            pass
