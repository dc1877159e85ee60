"""A canary is promoted only where Prometheus shows that it is as good, and else taken back."""

import dataclasses
import http.server
import json
import re
import threading
import urllib.parse

import pytest
from click.testing import CliRunner
from support import bucket

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.cli import main
from tfx_shrink.errors import ParameterError, PrometheusError
from tfx_shrink.serving.canary import promote_watched
from tfx_shrink.serving.canary_rule import Rule
from tfx_shrink.serving.prometheus import Prometheus


@dataclasses.dataclass
class Track:
    """Counts since the watch began, for each second of it."""

    successes: float = 20.0
    errors: float = 0.0
    p99_micros: float = 5000.0


class FakePrometheus:
    """A stub of the HTTP API: it answers what pods would have done in the window that is asked."""

    def __init__(self):
        self.tracks = {"stable": Track(), "canary": Track()}
        self.down, self.queries = False, []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
                fake.queries.append(query)
                code, value = (503, None) if fake.down else (200, fake.answer(query))
                result = [] if value is None else [{"metric": {}, "value": [0, str(value)]}]
                body = json.dumps({"status": "success", "data": {"result": result}}).encode()
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, query):
        if query == "vector(1)":
            return 1
        track = self.tracks[re.search(r'track="(\w+)"', query)[1]]
        seconds = int(re.search(r"\[(\d+)s\]", query)[1])
        if "_bucket" in query:
            return track.p99_micros if track.successes else None
        rate = track.successes if "latency_count" in query else track.errors
        return rate * seconds if rate else None

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Clock:
    """Time that passes only while somebody sleeps; `then` is called after each sleep."""

    def __init__(self, then=lambda now: None):
        self.now, self._then = 0.0, then

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self._then(self.now)


@pytest.fixture
def prometheus():
    fake = FakePrometheus()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 3)


@pytest.fixture
def place(models, tmp_path):
    """A bucket with the stable version 1 and the canary 2."""
    destination = parse_destination(str(tmp_path), "digits")
    publish(models[0], destination, mode="pinned")
    publish(models[1], destination, mode="pinned", label="canary")
    return destination


def labels_of(destination):
    return models_config.read_pins(open_store(destination), destination.model_name)[0]


def watch(place, prometheus, then=lambda now: None, **options):
    clock = Clock(then)
    outcome = promote_watched(place, prometheus.url, clock=clock, sleep=clock.sleep, **options)
    assert outcome.labels == labels_of(place)
    return outcome, clock.now


def test_a_canary_that_is_as_good_is_promoted_after_the_time(place, prometheus):
    outcome, seconds = watch(place, prometheus)
    assert outcome.promoted
    assert outcome.labels == {"stable": 2, "canary": 2, "previous": 1}
    assert seconds == 600
    assert outcome.canary.requests == 12000


def test_a_canary_that_fails_is_taken_back_at_once(place, prometheus):
    prometheus.tracks["canary"].errors = 1.0
    outcome, seconds = watch(place, prometheus)
    assert not outcome.promoted
    assert outcome.labels == {"stable": 1}
    assert "4.76% of its requests fail, 0.00% of stable's" in outcome.reason
    assert seconds < 120


def test_a_canary_that_is_slow_is_taken_back(place, prometheus):
    prometheus.tracks["canary"].p99_micros = 7600.0
    outcome, _ = watch(place, prometheus)
    assert outcome.labels == {"stable": 1}
    assert "p99 is 0.0076 s, stable's 0.005 s; 1.5 times" in outcome.reason


def test_a_canary_within_the_bounds_is_promoted(place, prometheus):
    prometheus.tracks["canary"] = Track(errors=0.19, p99_micros=7400.0)
    assert watch(place, prometheus)[0].promoted


def test_errors_that_stable_has_too_are_not_the_canary_s(place, prometheus):
    for track in prometheus.tracks.values():
        track.errors = 10.0
    assert watch(place, prometheus)[0].promoted


def test_a_canary_that_turns_bad_late_is_taken_back(place, prometheus):
    def turn(now):
        if now > 500:
            prometheus.tracks["canary"].errors = 5.0

    outcome, seconds = watch(place, prometheus, turn)
    assert outcome.labels == {"stable": 1}
    assert 500 < seconds <= 600


@pytest.mark.parametrize("track", ["canary", "stable"])
def test_what_had_no_requests_is_not_promoted(track, place, prometheus):
    prometheus.tracks[track].successes = 0.0
    outcome, seconds = watch(place, prometheus)
    assert outcome.labels == {"stable": 1}
    assert f"{track} had 0 requests in 600 s" in outcome.reason
    assert seconds == 600


def test_two_failures_among_ten_requests_decide_nothing(place, prometheus):
    """A bound is looked at only when there are requests enough; at the end there are too few."""
    prometheus.tracks["canary"] = Track(successes=0.1, errors=0.02)
    outcome, seconds = watch(place, prometheus)
    assert "72 requests" in outcome.reason
    assert seconds == 600


def test_a_pause_of_prometheus_is_waited_for(place, prometheus):
    def pause(now):
        prometheus.down = 100 < now < 400

    assert watch(place, prometheus, pause)[0].promoted


def test_a_prometheus_that_never_comes_back_promotes_nothing(place, prometheus):
    def stop(now):
        prometheus.down = True

    outcome, _ = watch(place, prometheus, stop)
    assert outcome.labels == {"stable": 1}
    assert "answers 503" in outcome.reason


def test_a_prometheus_that_does_not_answer_at_first_changes_nothing(place, prometheus):
    prometheus.down = True
    with pytest.raises(PrometheusError, match="answers 503"):
        watch(place, prometheus)
    assert labels_of(place) == {"stable": 1, "canary": 2}


def test_another_canary_meanwhile_ends_the_watch(place, prometheus, models):
    def push(now):
        if now == 300:
            publish(models[2], place, mode="pinned", label="canary")

    with pytest.raises(ParameterError, match="was 2, and is it no longer"):
        watch(place, prometheus, push)
    assert labels_of(place) == {"stable": 1, "canary": 3}


def test_a_namespace_narrows_what_is_asked(place, prometheus):
    watch(place, prometheus, namespace="serving")
    assert all('namespace="serving"' in query for query in prometheus.queries[1:])


def test_without_a_canary_there_is_nothing_to_watch(models, prometheus, tmp_path):
    destination = parse_destination(str(tmp_path), "digits")
    with pytest.raises(ParameterError, match=r"digits in .* has no canary"):
        watch(destination, prometheus)
    publish(models[0], destination, mode="pinned", label="canary")
    with pytest.raises(ParameterError, match=r"digits in .* has no stable version"):
        watch(destination, prometheus)
    publish(models[0], destination, mode="pinned")
    with pytest.raises(ParameterError, match="is canary and stable"):
        watch(destination, prometheus)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rule": Rule(watch_seconds=0)}, "`watch_seconds` must be above 0"),
        ({"poll_seconds": 0}, "`poll_seconds` must be above 0"),
        ({"rule": Rule(max_error_increase=2)}, "`max_error_increase` is a share"),
        ({"rule": Rule(max_latency_ratio=0.5)}, "`max_latency_ratio` must be at least 1"),
        ({"rule": Rule(min_requests=0)}, "`min_requests` must be at least 1"),
    ],
)
def test_bad_numbers_are_refused(options, said, place, prometheus):
    with pytest.raises(ParameterError, match=said):
        watch(place, prometheus, **options)
    assert labels_of(place) == {"stable": 1, "canary": 2}


@pytest.mark.parametrize(
    "url", ["prometheus:9090", "ftp://x", "http://", "http://user:secret@host", "http://h?token=x"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url):
    with pytest.raises(ParameterError, match="must be http://host:port") as error:
        Prometheus(url)
    assert "secret" not in str(error.value)


def test_the_command_exits_with_1_where_a_canary_is_taken_back(place, prometheus):
    prometheus.tracks["canary"].errors = 20.0
    prometheus.tracks["canary"].successes = 2000.0
    command = ["promote", place.url, "--model-name", "digits", "--watch", prometheus.url]
    done = CliRunner().invoke(main, [*command, "--watch-seconds", "1", "--max-error-increase", "0"])
    assert done.exit_code == 1
    assert "canary 2 was taken back: 0.99% of its requests fail" in done.output
    assert labels_of(place) == {"stable": 1}


def test_the_command_promotes(place, prometheus):
    prometheus.tracks = {name: Track(successes=2000.0) for name in prometheus.tracks}
    command = ["promote", place.url, "--model-name", "digits", "--watch", prometheus.url]
    done = CliRunner().invoke(main, [*command, "--watch-seconds", "1"])
    assert done.exit_code == 0, done.output
    assert labels_of(place)["stable"] == 2


def test_bounds_without_a_watch_are_refused(place):
    command = ["promote", place.url, "--model-name", "digits", "--min-requests", "5"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 1
    assert "--min-requests belongs to --watch" in done.output
    assert labels_of(place) == {"stable": 1, "canary": 2}
