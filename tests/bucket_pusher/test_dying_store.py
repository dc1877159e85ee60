"""A store that dies at any request: a server never has anything but a whole version."""

import os
import shutil

import pytest
from support import bucket, deaths, models, stores

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.bucket_pusher.retain import retain

KINDS = ("file", "memory-listed", "memory")
CASES = [(kind, mode) for kind in KINDS for mode in ("latest", "pinned")]


@pytest.fixture
def new(kind, tmp_path):
    """Makes an empty place of a kind."""

    def make(number):
        if kind == "file":
            return stores.new_directory(tmp_path / f"{number}")
        return stores.new_memory(kind == "memory-listed")

    return make


@pytest.fixture(scope="module")
def real_models(tmp_path_factory):
    return deaths.save_real_models(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_whenever_a_push_dies_a_server_has_the_old_or_the_new_version_or_no_new_one(
    new, kind, mode, after, tmp_path, real_models
):
    server = deaths.Server(tmp_path / "served")
    seen = deaths.assert_never_served_in_part(new, mode, real_models, server, after=after)
    if kind == "file":
        assert None not in {answer for _, answer in seen}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollback_that_dies_leaves_a_whole_version(new, kind, tmp_path, real_models):
    server = deaths.Server(tmp_path / "served")

    def prepare(destination, store):
        for model in real_models[:2]:
            publish(model, destination, store=store)

    for destination, store in deaths.deaths(
        new, prepare, lambda destination, store: rollback(destination, store=store)
    ):
        (number,) = stores.aspired(store, "latest")
        answer = server.answer(destination, store, number)
        assert answer in ({2: 2.0}.get(number, 1.0), None)
        publish(real_models[2], destination, store=store)
        done = retain(destination, 1, in_flight_seconds=0, store=store)
        stores.assert_no_garbage(store, done.kept)


@pytest.mark.parametrize("kind", KINDS)
def test_a_retention_that_dies_never_takes_what_is_served_and_is_ended_by_the_next(
    new, kind, tmp_path
):
    directories = bucket.write_models(tmp_path / "models", 4)

    def prepare(destination, store):
        for model in directories:
            publish(model, destination, store=store)

    for destination, store in deaths.deaths(
        new, prepare, lambda destination, store: retain(destination, 2, store=store)
    ):
        assert stores.aspired(store, "latest") == [4]
        assert len(store.list("digits/4/")) == len(store.list("digits/3/")) == 5
        done = retain(destination, 2, in_flight_seconds=0, store=store)
        assert done.kept == (3, 4)
        stores.assert_no_garbage(store, done.kept)


# facts of TensorFlow's C++ loader: what must be missing for a load to fail, and what must not.
HALF_WRITTEN = {
    "whole": ((), True, True),
    "without the fingerprint": (("fingerprint.pb",), True, True),
    "without saved_model.pb": (("saved_model.pb",), False, None),
    "without any variables": (
        ("variables/variables.index", "variables/variables.data-00000-of-00001"),
        True,
        False,
    ),
    "without variables.index": (("variables/variables.index",), True, False),
    "without variables.data": (("variables/variables.data-00000-of-00001",), False, None),
    "without a vocabulary": (("assets/vocabulary.txt",), False, None),
}
TRUNCATED = ("saved_model.pb", "variables/variables.data-00000-of-00001")


@pytest.mark.parametrize("case", HALF_WRITTEN)
def test_what_the_loader_makes_of_a_half_written_directory(case, saved, tmp_path):
    missing, loads, predicts = HALF_WRITTEN[case]
    directory = _copy(saved("with_table"), tmp_path)
    for name in missing:
        os.remove(os.path.join(directory, name))
    assert _try(directory) == (loads, predicts)


@pytest.mark.parametrize("name", TRUNCATED)
def test_the_loader_refuses_a_truncated_file(name, saved, tmp_path):
    directory = _copy(saved("with_table"), tmp_path)
    path = os.path.join(directory, name)
    os.truncate(path, os.path.getsize(path) // 2)
    assert _try(directory) == (False, None)


def _copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "half")


def _try(directory):
    """(whether it loads, whether it answers)."""
    from tfx_shrink.errors import ModelError
    from tfx_shrink.saved_model.cpp_session import CppSession

    try:
        session = CppSession(str(directory))
    except ModelError:
        return False, None
    with session:
        try:
            session.run("dense", models.features(1))
        except ModelError:
            return True, False
        return True, True
