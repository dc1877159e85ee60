"""From a push through a pull to the next answer on any store, while clients ask."""

import contextlib
import threading

from support import answering
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
    "num_load_threads": 2,
    "load_retry_interval_micros": 100_000,
}


def versions_take_over(store, destination, numbers, directory, **how):
    """Pushes 1, 2 and 3 and rolls back to 2: every request is answered, in this order."""
    publish(numbers[1], destination, store=store, **how)
    with _pulled(store, destination, str(directory)):
        flags = Flags(model_name="digits", model_base_path=str(directory / "digits"), **FAST)
        with ModelServer(flags) as server, answering.constantly(server) as asked:
            asked.wait_for(1)
            for number in (2, 3):
                done = publish(numbers[number], destination, store=store, **how)
                wait_until_served(_address(server), "digits", done.version, poll_seconds=0.05)
                asked.wait_for(number)
            rollback(destination, store=store)
            asked.wait_for(2)
    assert_no_failure(asked, 1, 2, 3, 2)


def a_canary_is_promoted_and_taken_back(store, destination, numbers, directory):
    """Pins 1, a canary 2, which is promoted and taken back, and 3 without a canary."""
    publish(numbers[1], destination, mode="pinned", store=store)
    with _pulled(store, destination, str(directory)):
        flags = Flags(
            model_config_file=str(directory / "models.config"),
            allow_version_labels_for_unavailable_models=True,
            **FAST,
        )
        with ModelServer(flags) as server, answering.constantly(server, "stable") as stable:
            stable.wait_for(1)
            canary = publish(numbers[2], destination, mode="pinned", label="canary", store=store)
            address = _address(server)
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


def assert_no_failure(asked, *numbers):
    """Every request was answered, by these numbers, from the first to the last."""
    assert asked.errors == []
    assert set(asked.answers) == set(numbers)
    assert [asked.answers[0], asked.answers[-1]] == [numbers[0], numbers[-1]]


@contextlib.contextmanager
def _pulled(store, destination, directory):
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


def _address(server):
    return f"127.0.0.1:{server.grpc_port}"
