"""A store that dies at any request: a server never has anything but a whole version."""

import contextlib
import itertools
import os

import numpy as np
import pytest
import tensorflow as tf
from support import bucket, models, stores

from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.lineage import file_digests

KINDS = ("file", "memory-listed", "memory")
CASES = [(kind, mode) for kind in KINDS for mode in ("latest", "pinned")]
ROWS = np.ones([1, 2], np.float32)


def new(kind, directory):
    if kind == "file":
        return stores.new_directory(directory)
    return stores.new_memory(kind == "memory-listed")


@pytest.fixture(scope="module")
def real_models(tmp_path_factory):
    """Three small SavedModels with a variable, which answer 1, 2 and 3."""
    root = tmp_path_factory.mktemp("models")
    made = []
    for factor in (1.0, 2.0, 3.0):
        module = tf.Module()
        module.weight = tf.Variable([factor, factor], name="weight")

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def serve(x, module=module):
            return {"y": tf.reduce_mean(x * module.weight, -1)}

        made.append(str(root / str(int(factor))))
        tf.saved_model.save(module, made[-1], signatures={"serving_default": serve})
    return made


class Server:
    """Loads what TensorFlow Serving would load, once for every content of a directory."""

    def __init__(self, directory):
        self.directory, self.answers = directory, {}

    def answer(self, store, number):
        files = tuple((entry.key, entry.size) for entry in store.list(f"digits/{number}/"))
        local = str(self.directory / str(len(self.answers)))
        stores.download(store, f"digits/{number}/", local)
        content = tuple(sorted(file_digests(local).items())) or files
        if content not in self.answers:
            found = stores.load_and_predict(local, ROWS)
            self.answers[content] = None if found is None else float(found[0])
        return self.answers[content]


def deaths(kind, mode, directory, prepare, act, after):
    """Acts once for every request at which the store can die; yields what was left."""
    for number in itertools.count(1):
        destination, store = new(kind, directory / f"{number}")
        prepare(destination, store)
        dying = stores.DyingStore(store, number, after=after)
        with contextlib.suppress(stores.Died):
            act(destination, dying)
        if not dying.died:
            assert number > 5
            return
        yield destination, store


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("kind", "mode"), CASES)
def test_whenever_a_push_dies_a_server_has_the_old_or_the_new_version_or_no_new_one(
    kind, mode, after, tmp_path, real_models
):
    old, new_model, _ = real_models
    server = Server(tmp_path / "served")
    seen = set()
    for destination, store in deaths(
        kind,
        mode,
        tmp_path,
        lambda destination, store: publish(old, destination, mode=mode, store=store),
        lambda destination, store: publish(new_model, destination, mode=mode, store=store),
        after,
    ):
        (number,) = stores.aspired(store, mode)
        answer = server.answer(store, number)
        seen.add((number, answer))
        # 1.0: the old version. None: a load that fails, after which the old one is still served.
        assert answer == {1: 1.0}.get(number, 2.0) or (mode == "latest" and answer is None)
        again = publish(new_model, destination, mode=mode, store=store)
        assert stores.aspired(store, mode) == [again.version]
        assert server.answer(store, again.version) == 2.0
        done = retain(destination, 1, in_flight_seconds=0, store=store)
        stores.assert_no_garbage(store, done.kept)
        assert again.version in done.kept
        assert server.answer(store, again.version) == 2.0
    assert (1, 1.0) in seen
    if kind != "memory-listed" or mode == "pinned":
        assert {answer for _, answer in seen} <= {1.0, 2.0, None}
    if kind == "file":
        assert None not in {answer for _, answer in seen}


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollback_that_dies_leaves_a_whole_version(kind, tmp_path, real_models):
    server = Server(tmp_path / "served")

    def prepare(destination, store):
        for model in real_models[:2]:
            publish(model, destination, store=store)

    for destination, store in deaths(
        kind, "latest", tmp_path, prepare, lambda d, store: rollback(d, store=store), False
    ):
        (number,) = stores.aspired(store, "latest")
        assert server.answer(store, number) in ({2: 2.0}.get(number, 1.0), None)
        publish(real_models[2], destination, store=store)
        done = retain(destination, 1, in_flight_seconds=0, store=store)
        stores.assert_no_garbage(store, done.kept)


@pytest.mark.parametrize("kind", KINDS)
def test_a_retention_that_dies_never_takes_what_is_served_and_is_ended_by_the_next(kind, tmp_path):
    directories = bucket.write_models(tmp_path / "models", 4)

    def prepare(destination, store):
        for model in directories:
            publish(model, destination, store=store)

    for destination, store in deaths(
        kind, "latest", tmp_path, prepare, lambda d, store: retain(d, 2, store=store), False
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
    import shutil

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
