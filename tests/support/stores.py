"""Stores that die, and a reader that follows TensorFlow Serving's rule."""

import itertools
import os
import re

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ModelError
from tfx_shrink.saved_model.cpp_session import CppSession

_NAMES = itertools.count()
METHODS = ("read", "list", "children", "create", "replace", "upload", "copy", "rename", "delete")


class Died(BaseException):
    """The process ended at this request: not an error that anyone handles."""


class DyingStore:
    """A store whose n-th request is its last; with `after`, that one still arrives."""

    def __init__(self, store, requests, *, after=False, methods=METHODS):
        self._store, self._last, self._after = store, requests, after
        self._methods = methods
        self._count = itertools.count(1)
        self.died = False

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in self._methods:
            return real

        def request(*args):
            number = next(self._count)
            if number >= self._last:
                self.died = True
                if self._after and number == self._last:
                    real(*args)
                raise Died
            return real(*args)

        return request


class InterruptedStore:
    """A store before whose n-th request somebody else does something."""

    def __init__(self, store, number, act):
        self._store, self._act = store, act
        self._left = number
        self.interrupted = False

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in METHODS:
            return real

        def request(*args):
            self._left -= 1
            if self._left == 0:
                self.interrupted = True
                self._act()
            return real(*args)

        return request


def new_memory(listed_by_serving):
    """(destination, store) of a new memory store, which servers list or do not."""
    destination = parse_destination(f"memory://bucket{next(_NAMES)}/root", "digits")
    store = open_store(destination)
    store.listed_by_serving = listed_by_serving
    return destination, store


def new_directory(directory):
    """(destination, store) of a new directory."""
    destination = parse_destination(str(directory), "digits")
    return destination, open_store(destination)


def keys(store):
    """Every key of a store."""
    return [entry.key for entry in store.list("")]


def assert_no_garbage(store, kept):
    """Checks that nothing is left but these versions of "digits" and their records."""
    for key in keys(store):
        if key in ("models.config", "_tfx/.lock"):
            continue
        found = re.fullmatch(r"digits/(\d+)/.*|_tfx/digits/(?:commits|claims)/(\d+)\.json", key)
        assert found, f"garbage: {key}"
        number = int(found[1] or found[2])
        highest = max(
            int(re.search(r"(\d+)\.json", name)[1]) for name in keys(store) if "claims" in name
        )
        assert number in kept or key == f"_tfx/digits/claims/{highest}.json", f"garbage: {key}"


def aspired(store, mode, name="digits"):
    """The versions that TensorFlow Serving wants to load: by its default policy, or pinned."""
    if mode == "latest":
        numbers = [int(child) for child in store.children(f"{name}/") if child.isdigit()]
        return [max(numbers)] if numbers else []
    found = store.read("models.config")
    if found is None:
        return []
    config = text_format.Parse(found.data, model_server_config_pb2.ModelServerConfig())
    return [
        entry.version_labels["stable"]
        for entry in config.model_config_list.config
        if entry.name == name and "stable" in entry.version_labels
    ]


def download(store, prefix, directory):
    """Fetches what lies below a prefix, as a server would; returns the directory."""
    os.makedirs(directory, exist_ok=True)
    for entry in store.list(prefix):
        target = os.path.join(directory, entry.key[len(prefix) :])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.writelines(store.stream(entry.key))
    return str(directory)


def load_and_predict(directory, rows):
    """What TensorFlow's own C++ loader answers; None where it does not load."""
    try:
        session = CppSession(directory)
    except ModelError:
        return None
    with session:
        return session.run("serving_default", {"x": rows})["y"]
