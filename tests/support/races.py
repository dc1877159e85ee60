"""Publishers at once, on any store."""

from concurrent.futures import ThreadPoolExecutor

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import Destination, parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.versions import verify, versions


def assert_distinct_whole_versions(models, destination, store):
    """Publishes all of them at the same time."""
    with ThreadPoolExecutor(len(models)) as threads:
        done = list(threads.map(lambda model: publish(model, destination, store=store), models))
    assert sorted(item.version for item in done) == list(range(1, len(models) + 1))
    assert {item.state for item in versions(destination, store=store)} == {"complete"}
    for item in done:
        (verified,) = verify(destination, item.version, store=store)
        assert verified.problems == ()


def assert_no_entry_is_lost(models, destination: Destination, store):
    """Pushes several models of one root at the same time, pinned."""
    names = [f"model-{number}" for number in range(len(models))]
    root = destination.url

    def push(model, name):
        return publish(model, parse_destination(root, name), mode="pinned", store=store)

    with ThreadPoolExecutor(len(models)) as threads:
        list(threads.map(push, models, names))
    for name in names:
        assert models_config.read_pins(store, name) == ({"stable": 1}, {1})
