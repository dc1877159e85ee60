"""Pulling from a server that speaks S3, and swapping versions that came through it."""

import itertools
import subprocess
import sys
import urllib.request

import pytest
from support import answering, bucket, hot_swap, pulling, stores

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.object_store import CHUNK
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.lineage import file_digests
from tfx_shrink.puller.status import BUCKET

pytestmark = pytest.mark.tools
_NAMES = itertools.count()


@pytest.fixture
def place(s3, monkeypatch):
    """(destination, store) below a new prefix of a bucket of moto's."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    urllib.request.urlopen(urllib.request.Request(f"{s3}/pulled", method="PUT")).close()
    destination = parse_destination(f"s3://pulled/root{next(_NAMES)}", "digits")
    return destination, open_store(destination)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    root = tmp_path_factory.mktemp("answering")
    return {number: answering.save(root / str(number), number) for number in (1, 2, 3)}


def test_new_versions_take_over_without_a_failed_request(place, numbers, tmp_path):
    destination, store = place
    hot_swap.versions_take_over(store, destination, numbers, tmp_path / "served")


def test_a_canary_is_promoted_and_taken_back_without_a_failed_request(place, numbers, tmp_path):
    destination, store = place
    hot_swap.a_canary_is_promoted_and_taken_back(store, destination, numbers, tmp_path / "served")


def test_a_large_file_and_an_empty_one_arrive_whole(place, tmp_path):
    destination, store = place
    model = bucket.write_model(tmp_path / "model", weights=bytes(range(256)) * (CHUNK // 64) + b"1")
    (tmp_path / "model" / "assets" / "empty.txt").touch()
    publish(model, destination, store=store)
    command = [sys.executable, "-m", "tfx_shrink.cli", "pull", destination.url]
    command += [str(tmp_path / "served"), "--model-name", "digits", "--once"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "digits: 1\n"
    assert pulling.served(tmp_path / "served") == {1: file_digests(model)}


def test_whenever_a_puller_dies_the_next_one_brings_the_version(place, tmp_path):
    destination, store = place
    models = bucket.write_models(tmp_path / "models", 2)
    wanted = [file_digests(model) for model in models]
    publish(models[0], destination, store=store)
    publish(models[1], destination, store=store)
    for number in itertools.count(1):
        directory = tmp_path / str(number)
        dying = stores.DyingStore(store, number, methods=pulling.METHODS)
        try:
            pulling.puller(dying, directory).look()
        except stores.Died:
            assert all(wanted[n - 1] == files for n, files in pulling.served(directory).items())
        assert pulling.puller(store, directory).look()
        assert pulling.served(directory) == {2: wanted[1]}
        pulling.assert_tidy(directory)
        if not dying.died:
            break
    assert number > 8


def test_an_endpoint_that_does_not_answer_for_a_while(place, tmp_path, monkeypatch):
    destination, store = place
    models = bucket.write_models(tmp_path / "models", 2)
    publish(models[0], destination, store=store)
    puller = pulling.puller(store, tmp_path / "served")
    assert puller.look()
    publish(models[1], destination, store=store)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        away = open_store(destination)
    puller.store = puller._models[0].books.store = away
    assert not puller.look()
    assert puller.status.models["digits"].failures[BUCKET] == 1
    assert puller.status.models["digits"].served == 1
    puller.store = puller._models[0].books.store = store
    assert puller.look()
    assert puller.status.models["digits"].served == 2
