"""Hot swaps on gs://, which TensorFlow's own client reads for the model of TensorFlow Serving."""

import contextlib
import itertools
import json
import subprocess
import sys
import types
import urllib.request

import pytest
from support import answering, hot_swap

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.serving.wait import wait_until_served

pytestmark = pytest.mark.tools
_NAMES = itertools.count()
# A load may begin before the file that makes a directory a model is there.
FLAGS = {**hot_swap.FAST, "load_retry_interval_micros": 500_000}


@pytest.fixture
def destination(gcs, monkeypatch):
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", gcs.credentials)
    urllib.request.urlopen(urllib.request.Request(f"{gcs.endpoint}/served", method="PUT")).close()
    return parse_destination(f"gs://served/root{next(_NAMES)}", "digits")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    root = tmp_path_factory.mktemp("answering")
    return {number: answering.save(root / str(number), number) for number in (1, 2)}


@contextlib.contextmanager
def served(gcs, **flags):
    """A server in a process of its own, whose TensorFlow is led to the model of gs://."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.serving_model", json.dumps({**FLAGS, **flags})],
        env=gcs.reader,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield types.SimpleNamespace(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait()


def test_a_new_version_takes_over_without_a_failed_request(gcs, destination, numbers):
    publish(numbers[1], destination)
    flags = {"model_name": "digits", "model_base_path": destination.served_path}
    with served(gcs, **flags) as server, answering.constantly(server) as asked:
        asked.wait_for(1)
        done = publish(numbers[2], destination)
        wait_until_served(f"127.0.0.1:{server.grpc_port}", "digits", done.version)
        asked.wait_for(2)
        rollback(destination)
        asked.wait_for(1)
    hot_swap.assert_no_failure(asked, 1, 2, 1)


def test_a_canary_is_promoted_and_taken_back_without_a_failed_request(gcs, destination, numbers):
    publish(numbers[1], destination, mode="pinned")
    flags = {
        "model_config_file": f"{destination.url}/models.config",
        "allow_version_labels_for_unavailable_models": True,
    }
    with served(gcs, **flags) as server, answering.constantly(server, "stable") as asked:
        asked.wait_for(1)
        publish(numbers[2], destination, mode="pinned", label="canary")
        promote(destination, address=f"http://127.0.0.1:{server.rest_port}")
        asked.wait_for(2)
        rollback(destination)
        asked.wait_for(1)
    hot_swap.assert_no_failure(asked, 1, 2, 1)
