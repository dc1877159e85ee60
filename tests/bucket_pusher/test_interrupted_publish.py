"""A push that dies or fails at any point is never visible in part."""

import builtins
import contextlib
import itertools
import os
import shutil
import sys

import pytest
from support import bucket

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.errors import PublishError
from tfx_shrink.lineage import file_digests

FAILED = OSError("injected")
# Everything that `publish` asks of a file system, one entry per way in, and how it fails.
STEPS = {
    "makedirs": (os, "makedirs", FAILED),
    "copy": (shutil, "copyfile", FAILED),
    "open": (builtins, "open", FAILED),
    "fsync": (os, "fsync", FAILED),
    "listdir": (os, "listdir", FAILED),
    "rename": (os, "rename", FAILED),
}


class Crash(BaseException):
    """The process ends here: not an error that anyone handles."""


@pytest.fixture
def models(tmp_path):
    return bucket.write_models(tmp_path / "models", 3)


def interrupt(patch, step, number, error, after=False):
    """Makes the n-th call of `step` raise, before or after its work; returns the calls made."""
    module, name, _ = STEPS[step]
    real, made, calls = getattr(module, name), [], itertools.count(1)

    def wrapper(*args, **kwargs):
        made.append(args)
        if next(calls) != number:  # Threads may be here at the same time.
            return real(*args, **kwargs)
        if after:
            with contextlib.suppress(FileNotFoundError):
                real(*args, **kwargs)
        raise error

    patch.setattr(module, name, wrapper)
    return made


def every_interruption(monkeypatch, models, tmp_path, step, error, after=False):
    """Publishes a second version, interrupted one call later each time.

    Yields (destination, what was raised) after each, and ends when nothing was interrupted.
    """
    for number in itertools.count(1):
        destination = parse_destination(str(tmp_path / str(number)), "digits")
        publish(models[0], destination)
        with monkeypatch.context() as patch:
            made = interrupt(patch, step, number, error, after)
            raised = None
            try:
                publish(models[1], destination)
            except (Crash, PublishError) as caught:
                raised = caught
        if len(made) < number:
            assert number > 1, f"publish never calls {step}"
            return
        yield destination, raised


@pytest.fixture
def at_every_file_operation():
    """Sets a function that is called before every file operation of Python, until the test ends."""
    watcher = []

    def hook(event, _):
        if watcher and event.split(".")[0] in ("open", "os", "shutil"):
            try:
                look = watcher.pop()
            except IndexError:  # Not while it looks itself, in this thread or in another.
                return
            look()
            watcher.append(look)

    sys.addaudithook(hook)  # It stays as long as the process, and does nothing without a watcher.
    yield watcher.append
    watcher.clear()


@pytest.mark.parametrize("write", [bucket.write_model, bucket.write_tflite])
def test_at_no_moment_is_anything_but_whole_versions_visible(
    tmp_path, at_every_file_operation, write
):
    base, destination = (
        tmp_path / "bucket" / "digits",
        parse_destination(str(tmp_path / "bucket"), "digits"),
    )
    models = [write(tmp_path / str(number), bytes([number])) for number in range(2)]
    publish(models[0], destination)
    elsewhere = [
        publish(model, parse_destination(str(tmp_path / "whole"), f"digits{number}")).path
        for number, model in enumerate(models)
    ]
    whole = [file_digests(path) for path in elsewhere]
    moments = []

    def look():
        moments.append(sorted(os.listdir(base)))
        assert moments[-1] in (["1"], ["1", "2"])
        assert [file_digests(base / version) for version in moments[-1]] == whole[
            : len(moments[-1])
        ]

    at_every_file_operation(look)
    publish(models[1], destination)
    assert len(moments) > 10
    assert moments[0] != moments[-1]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_call_leaves_whole_versions_only(monkeypatch, models, tmp_path, step, after):
    crashes = every_interruption(monkeypatch, models, tmp_path, step, Crash(), after)
    for destination, raised in crashes:
        assert isinstance(raised, Crash)
        found = bucket.assert_whole(destination.path, "digits", *models)
        assert found in ([1], [1, 2])
        assert len(bucket.staged(destination.path, "digits")) <= 1
        assert publish(models[2], destination).version > found[-1]
        bucket.assert_whole(destination.path, "digits", *models)


@pytest.mark.parametrize("step", STEPS)
def test_after_a_failure_at_any_call_nothing_is_left(monkeypatch, models, tmp_path, step):
    failures = every_interruption(monkeypatch, models, tmp_path, step, STEPS[step][2])
    for destination, raised in failures:
        found = bucket.assert_whole(destination.path, "digits", *models)
        if raised is not None:
            assert "injected" in str(raised)
            assert isinstance(raised, PublishError) or step == "read"  # It may be the source.
            assert found == [1], f"visible, and yet: {raised}"
        assert bucket.staged(destination.path, "digits") == []
        assert publish(models[2], destination).version > found[-1]


def test_a_number_is_not_used_again_after_a_crash_and_a_deletion(monkeypatch, models, tmp_path):
    destination = parse_destination(str(tmp_path), "digits")
    with monkeypatch.context() as patch:
        interrupt(patch, "rename", 1, Crash(), after=True)
        with pytest.raises(Crash):
            publish(models[0], destination)
    assert bucket.assert_whole(str(tmp_path), "digits", *models) == [1]
    shutil.rmtree(tmp_path / "digits" / "1")
    assert publish(models[2], destination).version > 1
