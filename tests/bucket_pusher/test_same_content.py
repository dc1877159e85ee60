"""The same content pushed twice, at the same time or after a death."""

import contextlib
import itertools
import logging
import shutil

import pytest
from support import bucket, stores

from tfx_shrink.bucket_pusher.content import WARMUP_REQUESTS
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.refusals import without_secrets
from tfx_shrink.bucket_pusher.versions import verify, versions

KINDS = ("file", "memory-listed", "memory")


@pytest.fixture
def new(kind, tmp_path):
    names = itertools.count()

    def make():
        if kind == "file":
            return stores.new_directory(tmp_path / str(next(names)))
        return stores.new_memory(kind == "memory-listed")

    return make


@pytest.fixture
def model(tmp_path):
    return bucket.write_model(tmp_path / "model")


@pytest.fixture
def warmed(model, tmp_path):
    """The same content, with warm-up requests."""
    directory = shutil.copytree(model, tmp_path / "warmed")
    (directory / WARMUP_REQUESTS).write_bytes(b"requests")
    return str(directory)


@pytest.mark.parametrize("kind", KINDS)
def test_whenever_the_same_content_is_pushed_beside_a_push_both_end_well(new, model):
    for number in itertools.count(1):
        destination, store = new()
        other = []
        interrupted = stores.InterruptedStore(
            store,
            number,
            lambda destination=destination, store=store, other=other: other.append(
                publish(model, destination, store=store)
            ),
        )
        done = publish(model, destination, store=interrupted)
        if not interrupted.interrupted:
            assert number > 5
            return
        assert done.digest == other[0].digest
        highest = versions(destination, store=store)[0].version
        for version in {done.version, other[0].version, highest}:
            assert verify(destination, version, store=store)[0].problems == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_push_with_warm_up_requests_that_died_does_not_stop_one_without(new, model, warmed):
    for number in itertools.count(1):
        destination, store = new()
        dying = stores.DyingStore(store, number)
        with contextlib.suppress(stores.Died):
            publish(warmed, destination, store=dying)
        done = publish(model, destination, store=store)
        assert verify(destination, done.version, store=store)[0].problems == ()
        if not dying.died:
            return


def test_it_is_said_that_a_live_version_gets_no_warm_up_requests(model, warmed, caplog):
    destination, store = stores.new_memory(True)
    publish(model, destination, store=store)
    with caplog.at_level(logging.WARNING):
        assert not publish(warmed, destination, store=store).new
    assert "Version 1 of digits holds this model already, without warm-up requests" in caplog.text


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_push_with_a_number_of_its_own_that_died_is_completed_by_the_next(new, model):
    for number in itertools.count(1):
        destination, store = new()
        dying = stores.DyingStore(store, number)
        with contextlib.suppress(stores.Died):
            publish(model, destination, versioning=5, store=dying)
        assert publish(model, destination, versioning=5, store=store).version == 5
        assert verify(destination, 5, store=store)[0].problems == ()
        if not dying.died:
            assert number > 5
            return


def test_of_a_refusal_only_code_and_message_are_told():
    refusal = (
        "Server returned error: <?xml version='1.0'?><Error><Code>SignatureDoesNotMatch</Code>"
        "<Message>The signature does not match.</Message><AWSAccessKeyId>AKIAPLANTED"
        "</AWSAccessKeyId><CanonicalRequest>x-amz-security-token:planted-token</CanonicalRequest>"
        "<CanonicalRequestBytes>70 6c 61</CanonicalRequestBytes></Error>"
    )
    told = without_secrets(refusal)
    assert told.endswith("SignatureDoesNotMatch: The signature does not match.")
    assert "70 6c 61" not in told
    assert "planted" not in told.lower()
    assert "planted" not in without_secrets("x-amz-security-token:planted-token")
