"""Labels move so that TensorFlow Serving takes them, and never to what is being removed."""

import functools
import itertools

import pytest
from google.protobuf import text_format
from support import bucket, stores
from tensorflow_serving.config import model_server_config_pb2

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.versions import verify
from tfx_shrink.errors import ParameterError


@pytest.fixture
def directories(tmp_path):
    return bucket.write_models(tmp_path / "models", 4)


class WatchedStore:
    """Notes (labels, versions) of "digits" at every write of models.config."""

    def __init__(self, store):
        self._store, self.written = store, []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def replace(self, key, data, etag):
        done = self._store.replace(key, data, etag)
        if done and key == models_config.KEY:
            config = text_format.Parse(data, model_server_config_pb2.ModelServerConfig())
            entries = [item for item in config.model_config_list.config if item.name == "digits"]
            labels = dict(entries[0].version_labels) if entries else {}
            self.written.append((labels, models_config.read_pins(self._store, "digits")[1]))
        return done


def test_a_label_only_ever_moves_to_a_version_that_servers_were_told_to_load_before(directories):
    destination, store = stores.new_memory(True)
    store = WatchedStore(store)
    for directory in directories[:2]:
        publish(directory, destination, mode="pinned", store=store)
    for directory in directories[2:]:
        publish(directory, destination, mode="pinned", label="canary", store=store)
    promote(destination, store=store)
    rollback(destination, store=store)
    rollback(destination, 1, store=store)
    assert store.written[-1][0] == {"stable": 1, "canary": 4, "previous": 2}
    moved = 0
    for (before, loaded), (after, _) in itertools.pairwise(store.written):
        for label in before.keys() & after.keys():
            if before[label] != after[label]:
                moved += 1
                # tensorflow_serving/model_servers/server_core.cc refuses the file otherwise.
                assert after[label] in loaded, (label, before, after)
    assert moved >= 5


def test_servers_are_given_time_between_the_two_writes(directories, monkeypatch):
    destination, store = stores.new_memory(True)
    slept = []
    monkeypatch.setattr("tfx_shrink.bucket_pusher.pinning.time.sleep", slept.append)
    publish(directories[0], destination, mode="pinned", settle_seconds=30, store=store)
    assert slept == []  # A label that is new is taken at once.
    publish(directories[1], destination, mode="pinned", settle_seconds=30, store=store)
    assert slept == [30]
    publish(directories[1], destination, mode="pinned", settle_seconds=30, store=store)
    rollback(destination, store=store)
    assert slept == [30]  # What `previous` names is loaded.


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_whenever_old_versions_are_removed_beside_a_push_the_labels_name_whole_versions(
    kind, directories, tmp_path
):
    for number in itertools.count(1):
        new = tmp_path / str(number)
        destination, store = (
            stores.new_directory(new) if kind == "file" else stores.new_memory(False)
        )
        for directory in directories[:3]:
            publish(directory, destination, mode="pinned", store=store)
        interrupted = stores.InterruptedStore(
            store, number, functools.partial(retain, destination, 1, store=store)
        )
        done = publish(directories[0], destination, mode="pinned", store=interrupted)
        labels, named = models_config.read_pins(store, "digits")
        assert labels["stable"] == done.version
        for version in named:
            assert verify(destination, version, store=store)[0].problems == ()
        if not interrupted.interrupted:
            assert number > 5
            return


def test_what_somebody_wrote_into_the_entry_by_hand_stays(directories):
    destination, store = stores.new_memory(True)
    for directory in directories[:3]:
        publish(directory, destination, mode="pinned", store=store)
    found = store.read(models_config.KEY)
    config = text_format.Parse(found.data, model_server_config_pb2.ModelServerConfig())
    (entry,) = config.model_config_list.config
    entry.base_path = "/mounted/digits"
    entry.model_version_policy.specific.versions.append(1)
    assert store.replace(
        models_config.KEY, text_format.MessageToString(config).encode(), found.etag
    )
    publish(directories[3], destination, mode="pinned", store=store)
    config = text_format.Parse(
        store.read(models_config.KEY).data, model_server_config_pb2.ModelServerConfig()
    )
    (entry,) = config.model_config_list.config
    assert entry.base_path == "/mounted/digits"
    assert sorted(entry.model_version_policy.specific.versions) == [1, 3, 4]


def test_a_version_that_a_dead_push_announced_is_withdrawn_by_retain(directories):
    destination, store = stores.new_memory(True)
    publish(directories[0], destination, mode="pinned", store=store)
    publish(directories[1], destination, mode="pinned", label="canary", store=store)
    models_config.announce(store, "digits", "", 2)
    promote(destination, store=store)
    publish(directories[2], destination, mode="pinned", label="canary", store=store)
    publish(directories[2], destination, mode="pinned", store=store)
    models_config.announce(store, "digits", "", 1)
    assert 1 in models_config.read_pins(store, "digits")[1]
    retain(destination, 1, store=store)
    assert 1 in models_config.read_pins(store, "digits")[1]  # It may be somebody's just now.
    retain(destination, 1, in_flight_seconds=0, store=store)
    labels, named = models_config.read_pins(store, "digits")
    assert named == set(labels.values()) == {2, 3}


def test_a_push_to_a_pinned_model_must_pin_too(directories, tmp_path):
    destination = parse_destination(str(tmp_path / "bucket"), "digits")
    publish(directories[0], destination, mode="pinned")
    with pytest.raises(ParameterError, match=r"pins digits to versions \[1\].*Give mode='pinned'"):
        publish(directories[1], destination)
    assert bucket.versions(str(tmp_path / "bucket"), "digits").keys() == {1}
