"""A puller that is killed at any point: only whole versions are served, and the next goes on."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from support import bucket, pulling, stores

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.lineage import file_digests

# What the puller asks of the file system to make something visible, or to have it on the disk.
STEPS = {
    "rename": (os, "rename"),
    "replace": (os, "replace"),
    "makedirs": (os, "makedirs"),
    "fsync": (os, "fsync"),
    "rmdir": (os, "rmdir"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 3)


@pytest.fixture(scope="module", params=pulling.KINDS)
def place(request, models, tmp_path_factory):
    """A bucket that pins 1, 2 and 3 of "digits" and holds three versions of "taxi"."""
    root = tmp_path_factory.mktemp("bucket")
    destination, store = pulling.new(request.param, root)
    for number, model in enumerate(models, 1):
        label = "canary" if number == 3 else "stable"
        publish(model, destination, mode="pinned", label=label, settle_seconds=0, store=store)
        publish(model, parse_destination(destination.url, "taxi"), store=store)
    return store


def start(directory, models):
    """A directory as an earlier puller left it: version 1 of both, of which 1 is pinned."""
    destination, store = stores.new_memory(False)
    publish(models[0], destination, mode="pinned", store=store)
    publish(models[0], parse_destination(destination.url, "taxi"), store=store)
    assert pulling.puller(store, directory, "digits", "taxi").look()


def look_until_done(store, directory):
    clock = pulling.Clock()
    puller = pulling.puller(
        store, directory, "digits", "taxi", keep=1, clock=clock, remove_after_seconds=0
    )
    for _ in range(5):
        if puller.look():
            return
        clock.now += 60
    raise AssertionError(puller.status.to_json())


def assert_served_whole(directory, models):
    """Every version that a server can see is whole, and what it is told to load is there."""
    wanted = [file_digests(model) for model in models]
    for name in ("digits", "taxi"):
        there = pulling.served(directory, name)
        assert there, f"{name} is empty"
        for number, digests in there.items():
            assert digests == wanted[number - 1]
    (_, versions, labels) = pulling.local_config(directory)["digits"]
    assert versions | set(labels.values()) <= set(pulling.served(directory, "digits"))


def test_whenever_a_puller_dies_only_whole_versions_are_served(place, models, tmp_path):
    for after in (False, True):
        for number in itertools.count(1):
            directory = tmp_path / f"{number}-{after}"
            start(directory, models)
            dying = stores.DyingStore(place, number, after=after, methods=pulling.METHODS)
            try:
                look_until_done(dying, directory)
            except stores.Died:
                assert_served_whole(directory, models)
            look_until_done(place, directory)
            assert_served_whole(directory, models)
            assert sorted(pulling.served(directory, "taxi")) == [3]
            assert pulling.local_config(directory)["digits"][2]["stable"] == 2
            pulling.assert_tidy(directory)
            if not dying.died:
                break
        assert number > 10


@pytest.mark.parametrize(
    ("step", "after"),
    [*((step, False) for step in STEPS), ("rename", True), ("replace", True)],
    ids=lambda value: {False: "before", True: "after"}.get(value, value),
)
@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_a_crash_at_any_call_leaves_whole_versions_only(
    step, after, place, models, tmp_path, monkeypatch
):
    module, name = STEPS[step]
    real = getattr(module, name)
    for number in itertools.count(1):
        directory = tmp_path / str(number)
        start(directory, models)
        calls = itertools.count(1)

        def dying(*args, calls=calls, number=number, **kwargs):
            call = next(calls)
            if call < number:
                return real(*args, **kwargs)
            if after and call == number:
                real(*args, **kwargs)
            raise stores.Died

        with monkeypatch.context() as patch:
            patch.setattr(module, name, dying)
            died = False
            try:
                look_until_done(place, directory)
            except stores.Died:
                died = True
        assert_served_whole(directory, models)
        look_until_done(place, directory)
        assert_served_whole(directory, models)
        pulling.assert_tidy(directory)
        if not died:
            assert number > 1, f"a pull never calls {step}"
            break


CHILD = """
import sys
from tfx_shrink.puller.pull import pull
pull(sys.argv[1], sys.argv[2], ["digits"], poll_seconds=0.001)
"""


def test_a_puller_that_gets_sigkill_at_any_moment_is_started_again(tmp_path):
    destination, store = stores.new_directory(tmp_path / "bucket")
    served, chance = tmp_path / "served", random.Random(1)
    models = bucket.write_models(tmp_path / "models", 4, weights=chance.randbytes(1 << 22))
    wanted = [file_digests(model) for model in models]
    for number, model in enumerate(models, 1):
        child = subprocess.Popen([sys.executable, "-c", CHILD, destination.url, str(served)])
        deadline = time.monotonic() + 60
        while number > 1 and not (served / "digits" / str(number - 1)).is_dir():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        publish(model, destination, store=store)
        time.sleep(chance.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert all(wanted[n - 1] == files for n, files in pulling.served(served).items())
    assert pulling.puller(store, served).look()
    assert pulling.served(served)[4] == wanted[3]
    pulling.assert_tidy(served)
