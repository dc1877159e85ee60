"""A bucket, a directory that is pulled into, and what TensorFlow Serving would find there."""

import contextlib
import json
import os

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from support import bucket, stores
from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.errors import PublishError
from tfx_shrink.lineage import file_digests
from tfx_shrink.puller.puller import Puller

KINDS = ("file", "memory")
METHODS = (*stores.METHODS, "stream")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Unreachable:
    """A store that answers nothing while `down`, or only some methods."""

    def __init__(self, store):
        self._store, self.down, self.requests = store, (), []

    def __getattr__(self, name):
        real = getattr(self._store, name)
        if name not in METHODS:
            return real

        def request(*args):
            self.requests.append((name, *args))
            if name in self.down:
                raise PublishError(f"Cannot use {self._store.url}: no answer.")
            return real(*args)

        return request


def new(kind, tmp_path):
    """(destination, store) of a new bucket."""
    if kind == "file":
        return stores.new_directory(tmp_path / "bucket")
    return stores.new_memory(kind == "memory-listed")


def puller(store, directory, *names, keep=2, clock=None, settle=60.0, **options):
    """A Puller with a clock of its own."""
    return Puller(
        store,
        str(directory),
        names or ["digits"],
        keep=keep,
        settle_seconds=settle,
        clock=clock or Clock(),
        **options,
    )


def served(directory, name="digits"):
    """{number: digests of its files} of what TensorFlow Serving would see."""
    return {
        number: file_digests(path) for number, path in bucket.versions(str(directory), name).items()
    }


def local_config(directory):
    """{model: (base_path, versions, labels)} of the local models.config."""
    with open(os.path.join(directory, models_config.KEY)) as file:
        config = text_format.Parse(file.read(), model_server_config_pb2.ModelServerConfig())
    return {
        entry.name: (
            entry.base_path,
            set(entry.model_version_policy.specific.versions),
            dict(entry.version_labels),
        )
        for entry in config.model_config_list.config
    }


def assert_tidy(directory):
    """Checks that nothing is left of a process that was killed."""
    for _, directories, names in os.walk(directory):
        left = [name for name in [*directories, *names] if name.startswith(".")]
        assert set(left) <= {".tfx-shrink-pull.lock"}, left


def change(store, key, edit):
    """Rewrites an object whose content somebody changed."""
    found = store.read(key)
    assert store.replace(key, edit(found.data), found.etag)


def flip(store, key):
    """Changes one byte, and leaves the size as it was."""
    change(store, key, lambda data: bytes([data[0] ^ 1]) + data[1:])


def edit_manifest(store, number, edit, name="digits"):
    """Changes a version's commit record."""

    def changed(data):
        record = json.loads(data)
        edit(record)
        return json.dumps(record).encode()

    change(store, f"_tfx/{name}/commits/{number}.json", changed)


@contextlib.contextmanager
def without(store, key):
    """Takes an object away for a while."""
    found = store.read(key)
    store.delete([key])
    yield
    store.create(key, found.data)
