"""From a push to the next answer, without a request that fails."""

import contextlib
import threading

import pytest
from support import answering, pulling
from support.serving_model import Flags, ModelServer

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.puller.pull import pull
from tfx_shrink.serving.wait import wait_until_served

# The real flags, with shorter pauses.
FAST = {
    "file_system_poll_wait_seconds": 0.05,
    "model_config_file_poll_wait_seconds": 0.05,
    "manage_state_interval_micros": 10_000,
    "num_load_threads": 1,
    "load_retry_interval_micros": 100_000,
}


@contextlib.contextmanager
def pulled(store, destination, directory):
    """Pulls until the context ends, at least once before it begins."""
    stop = threading.Event()
    options = {"poll_seconds": 0.05, "settle_seconds": 0.5, "store": store}
    pull(destination.url, directory, ["digits"], once=True, **options)
    thread = threading.Thread(
        target=pull,
        args=[destination.url, directory, ["digits"]],
        kwargs={**options, "stop": stop},
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def grpc_address(server):
    return f"127.0.0.1:{server.grpc_port}"


def assert_no_failure(asked, *numbers):
    """Every request was answered, by these numbers and in this order."""
    assert asked.errors == []
    order = [asked.answers[0]]
    for before, after in zip(asked.answers, asked.answers[1:], strict=False):
        if after != before:
            order.append(after)
    # Two clients: at a swap the answer of one may be noted a moment after that of the other.
    assert set(order) == set(numbers)
    assert [order[0], order[-1]] == [numbers[0], numbers[-1]]


def test_a_new_version_on_file_takes_over_without_a_failed_request(numbers, tmp_path):
    destination, _ = pulling.new("file", tmp_path)
    publish(numbers[1], destination)
    flags = Flags(model_name="digits", model_base_path=str(tmp_path / "bucket/digits"), **FAST)
    with ModelServer(flags) as server, answering.constantly(server) as asked:
        asked.wait_for(1)
        publish(numbers[2], destination)
        asked.wait_for(2)
    assert_no_failure(asked, 1, 2)


@pytest.mark.parametrize("kind", pulling.KINDS)
def test_a_new_version_takes_over_through_a_pull_without_a_failed_request(kind, numbers, tmp_path):
    destination, store = pulling.new(kind, tmp_path)
    swap_through_a_pull(store, destination, numbers, tmp_path / "served")


def swap_through_a_pull(store, destination, numbers, directory):
    publish(numbers[1], destination, store=store)
    with pulled(store, destination, str(directory)):
        flags = Flags(model_name="digits", model_base_path=str(directory / "digits"), **FAST)
        with ModelServer(flags) as server, answering.constantly(server) as asked:
            asked.wait_for(1)
            for number in (2, 3):
                done = publish(numbers[number], destination, store=store)
                wait_until_served(grpc_address(server), "digits", done.version, poll_seconds=0.05)
                asked.wait_for(number)
            rollback(destination, store=store)
            asked.wait_for(2)
    assert_no_failure(asked, 1, 2, 3, 2)


@pytest.mark.parametrize("kind", pulling.KINDS)
def test_a_canary_is_promoted_and_taken_back_without_a_failed_request(kind, numbers, tmp_path):
    destination, store = pulling.new(kind, tmp_path)
    release_through_a_pull(store, destination, numbers, tmp_path / "served")


def release_through_a_pull(store, destination, numbers, directory):
    publish(numbers[1], destination, mode="pinned", store=store)
    with pulled(store, destination, str(directory)):
        flags = Flags(
            model_config_file=str(directory / "models.config"),
            allow_version_labels_for_unavailable_models=True,
            **FAST,
        )
        with ModelServer(flags) as server, answering.constantly(server, "stable") as stable:
            stable.wait_for(1)
            canary = publish(numbers[2], destination, mode="pinned", label="canary", store=store)
            address = grpc_address(server)
            wait_until_served(address, "digits", canary.version, poll_seconds=0.05)
            assert stable.answers[-1] == 1
            promote(destination, address=address, store=store)
            stable.wait_for(2)
            with answering.constantly(server, "canary") as asked:
                asked.wait_for(2)
            rollback(destination, store=store)
            stable.wait_for(1)
            # A push that moves the label itself, to a version that no server has loaded.
            publish(numbers[3], destination, mode="pinned", store=store)
            stable.wait_for(3)
    assert_no_failure(stable, 1, 2, 1, 3)
    assert asked.errors == []
