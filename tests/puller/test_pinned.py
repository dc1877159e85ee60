"""Versions that models.config names, and the local models.config."""

import pytest
from google.protobuf import text_format
from support import bucket, pulling
from tensorflow_serving.config import model_server_config_pb2

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.puller.status import BUCKET

SETTLE, REMOVE = 60, 900


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 6)


class Pinned:
    """A bucket in mode `pinned`, and a puller of it."""

    def __init__(self, kind, models, tmp_path):
        self.destination, self.store = pulling.new(kind, tmp_path)
        self.models, self.directory, self.clock = models, tmp_path / "served", pulling.Clock()
        self.puller = self.start()

    def start(self):
        self.puller = pulling.puller(
            self.store, self.directory, keep=1, clock=self.clock, remove_after_seconds=REMOVE
        )
        return self.puller

    def push(self, index, label="stable"):
        done = publish(
            self.models[index], self.destination, mode="pinned", label=label, store=self.store
        )
        return done.version

    def config(self):
        base_path, versions, labels = pulling.local_config(self.directory)["digits"]
        assert base_path == str(self.directory / "digits")
        return versions, labels

    def there(self):
        return set(pulling.served(self.directory))

    def look(self, seconds=0):
        self.clock.now += seconds
        return self.puller.look()


@pytest.fixture(params=pulling.KINDS)
def pinned(request, models, tmp_path):
    return Pinned(request.param, models, tmp_path)


def test_every_named_version_is_fetched_and_the_local_file_says_so(pinned):
    for index in range(3):
        pinned.push(index)
    pinned.push(3, "canary")
    assert pinned.look()
    assert pinned.there() == {2, 3, 4}
    assert pinned.config() == ({2, 3, 4}, {"stable": 3, "previous": 2, "canary": 4})
    assert pinned.puller.status.models["digits"].served == 3


def test_a_label_moves_only_when_servers_know_the_version_that_it_moves_to(pinned):
    pinned.push(0)
    assert pinned.look()
    pinned.push(1)
    assert not pinned.look(5)
    assert pinned.config() == ({1, 2}, {"stable": 1})
    assert not pinned.look(SETTLE - 1)
    assert pinned.puller.status.lag_seconds(pinned.puller.status.models["digits"]) == SETTLE - 1
    assert pinned.puller.status.models["digits"].served == 1
    assert pinned.look(1)
    assert pinned.config() == ({1, 2}, {"stable": 2, "previous": 1})
    assert pinned.puller.status.models["digits"].served == 2


def test_a_label_that_is_new_is_taken_at_once(pinned):
    pinned.push(0)
    assert pinned.look()
    pinned.push(1, "canary")
    assert pinned.look()
    assert pinned.config() == ({1, 2}, {"stable": 1, "canary": 2})
    pinned.push(2, "canary")
    assert not pinned.look()
    assert pinned.config() == ({1, 2, 3}, {"stable": 1, "canary": 2})
    assert pinned.look(SETTLE)
    assert pinned.config() == ({1, 3}, {"stable": 1, "canary": 3})


def test_a_canary_that_is_loaded_is_promoted_and_taken_back_at_once(pinned):
    pinned.push(0)
    pinned.push(1, "canary")
    assert pinned.look()
    assert pinned.look(SETTLE)
    promote(pinned.destination, store=pinned.store)
    assert pinned.look()
    assert pinned.config()[1] == {"stable": 2, "canary": 2, "previous": 1}
    rollback(pinned.destination, store=pinned.store)
    assert pinned.look()
    assert pinned.config()[1] == {"stable": 1, "canary": 2}


def test_a_puller_that_starts_anew_waits_again_before_it_moves_a_label(pinned):
    pinned.push(0)
    assert pinned.look()
    pinned.push(1)
    assert not pinned.look()
    pinned.clock.now += SETTLE
    pinned.start()  # It cannot know how long ago the file was written.
    assert not pinned.look()
    assert pinned.config() == ({1, 2}, {"stable": 1})
    assert pinned.look(SETTLE)
    assert pinned.config()[1] == {"stable": 2, "previous": 1}


def test_a_version_that_is_named_is_never_removed_and_another_late(pinned):
    for index in range(4):
        pinned.push(index)
        assert not pinned.look() or index == 0
        assert pinned.look(SETTLE)
    versions, labels = pinned.config()
    assert labels == {"stable": 4, "previous": 3}
    assert pinned.there() == {1, 2, 3, 4}  # A server may not have read the file yet.
    assert pinned.look(REMOVE)
    assert pinned.there() == {3, 4}
    assert pinned.look(100 * REMOVE)
    assert pinned.there() == {3, 4} >= versions


def test_the_local_file_is_replaced_after_the_versions_arrived(pinned):
    pinned.push(0)
    assert pinned.look()
    pinned.push(1)
    pulling.flip(pinned.store, "digits/2/saved_model.pb")
    assert not pinned.look()
    assert pinned.config() == ({1}, {"stable": 1})
    assert pinned.there() == {1}
    pulling.flip(pinned.store, "digits/2/saved_model.pb")
    assert not pinned.look(3600)
    assert pinned.look(SETTLE)
    assert pinned.config()[1]["stable"] == 2


@pytest.mark.parametrize("data", [b"", b"model_config_list {", b"\xff\xfe"])
def test_a_models_config_that_is_gone_or_broken_changes_nothing(pinned, data):
    """In particular it does not make the highest version, a canary, the one that is served."""
    pinned.push(0)
    assert pinned.look()
    pinned.push(1, "canary")
    whole = pinned.store.read(models_config.KEY).data
    pulling.change(pinned.store, models_config.KEY, lambda _: data)
    for puller in (pinned.puller, pinned.start()):
        assert not puller.look()
        assert puller.status.models["digits"].failures[BUCKET] == 1
        assert pinned.config() == ({1}, {"stable": 1})
        assert pinned.there() == {1}
    with pulling.without(pinned.store, models_config.KEY):
        assert not pinned.look()
        assert pinned.config() == ({1}, {"stable": 1})
    pulling.change(pinned.store, models_config.KEY, lambda _: whole)
    assert pinned.look()
    assert pinned.config() == ({1, 2}, {"stable": 1, "canary": 2})


def test_the_local_file_names_only_the_models_that_are_pulled_and_keeps_their_settings(
    models, tmp_path
):
    destination, store = pulling.new("memory", tmp_path)
    for name in ("digits", "taxi", "other"):
        place = parse_destination(destination.url, name)
        publish(models[0], place, mode="latest" if name == "taxi" else "pinned", store=store)

    def log_requests(data):
        config = text_format.Parse(data, model_server_config_pb2.ModelServerConfig())
        for entry in config.model_config_list.config:
            entry.logging_config.sampling_config.sampling_rate = 0.5
        return text_format.MessageToString(config).encode()

    pulling.change(store, models_config.KEY, log_requests)
    served = tmp_path / "served"
    assert pulling.puller(store, served, "digits", "taxi").look()
    assert pulling.local_config(served) == {
        "digits": (str(served / "digits"), {1}, {"stable": 1}),
        "taxi": (str(served / "taxi"), set(), {}),
    }
    assert "sampling_rate: 0.5" in (served / "models.config").read_text()
    # Removed from the command line, removed from the file.
    assert pulling.puller(store, served, "digits").look()
    assert list(pulling.local_config(served)) == ["digits"]


def test_a_model_that_becomes_pinned_goes_on_by_models_config(pinned):
    publish(pinned.models[0], pinned.destination, store=pinned.store)
    assert pinned.look()
    assert pinned.config() == (set(), {})
    pinned.push(0)
    pinned.push(1, "canary")
    assert pinned.look()
    assert pinned.config() == ({1, 2}, {"stable": 1, "canary": 2})


def test_a_named_version_that_the_bucket_does_not_hold_is_said(pinned):
    pinned.push(0)
    assert pinned.look()
    models_config.change_labels(pinned.store, "digits", "x", models_config.point("stable", 99))
    assert not pinned.look()
    assert "digits/99 has no manifest" in pinned.puller.status.models["digits"].error
    assert pinned.config() == ({1}, {"stable": 1})
    assert pinned.there() == {1}
