"""What can go wrong around a puller: the served version stays, and it recovers by itself."""

import os
import resource
import shutil
import time

import pytest
from support import bucket, pulling

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.lineage import file_digests
from tfx_shrink.puller import puller as puller_module
from tfx_shrink.puller.pull import pull
from tfx_shrink.puller.status import BUCKET, DAMAGED, DISK


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 4)


class Running:
    """A puller that serves version 1, and a bucket that holds 2 as well."""

    def __init__(self, kind, models, tmp_path):
        self.destination, store = pulling.new(kind, tmp_path)
        self.store, self.models = pulling.Unreachable(store), models
        self.directory, self.clock = tmp_path / "served", pulling.Clock()
        self.puller = pulling.puller(self.store, self.directory, clock=self.clock)
        self.status = self.puller.status.models["digits"]
        self.push(0)
        assert self.puller.look()
        self.push(1)

    def push(self, index):
        return publish(self.models[index], self.destination, store=self.store)

    def lag(self):
        return self.puller.status.lag_seconds(self.status)

    def assert_stays(self, reason, words):
        """Checks that a look fails for this reason, and 1 goes on being served, whole."""
        before = self.status.failures[reason]
        assert not self.puller.look()
        assert self.status.failures[reason] == before + 1
        assert words in self.status.error
        assert self.status.served == 1
        assert pulling.served(self.directory) == {1: file_digests(self.models[0])}
        pulling.assert_tidy(self.directory)

    def assert_recovers(self, index=1):
        """Checks that a later look, without a restart, brings the newest version."""
        self.clock.now += 3600
        assert self.puller.look()
        assert self.status.error == ""
        assert self.lag() == 0
        assert pulling.served(self.directory)[self.status.served] == file_digests(
            self.models[index]
        )


@pytest.fixture(params=pulling.KINDS)
def running(request, models, tmp_path):
    return Running(request.param, models, tmp_path)


@pytest.mark.parametrize("down", [pulling.METHODS, ("children",), ("read",), ("stream",)])
def test_a_bucket_that_cannot_be_reached_for_a_while(running, down):
    running.store.down = down
    running.assert_stays(BUCKET, "no answer")
    running.clock.now += 5
    running.assert_stays(BUCKET, "no answer")
    # It says that it lags behind where it knows what it misses.
    assert (running.lag(), running.status.published) == ((5, 2) if down == ("stream",) else (0, 1))
    running.store.down = ()
    running.assert_recovers()


def test_a_bucket_that_breaks_off_in_the_middle_of_a_file(running, monkeypatch):
    stream = running.store._store.stream

    def broken(key):
        yield next(iter(stream(key)))[:1]
        raise pulling.PublishError("the connection broke")

    monkeypatch.setattr(running.store._store, "stream", broken)
    running.assert_stays(BUCKET, "the connection broke")
    monkeypatch.undo()
    running.assert_recovers()


@pytest.mark.parametrize(
    "key", ["saved_model.pb", "variables/variables.index", "assets.extra/compression.json"]
)
def test_a_flipped_byte_is_never_served(running, key):
    pulling.flip(running.store, f"digits/2/{key}")
    running.assert_stays(DAMAGED, f"digits/2/{key} is not what was published")
    pulling.flip(running.store, f"digits/2/{key}")
    running.assert_recovers()


@pytest.mark.parametrize("data", [b"", b"x", b"longer than what was published there"])
def test_a_file_of_another_length_is_never_served(running, data):
    key = "digits/2/variables/variables.index"
    whole = running.store.read(key).data
    pulling.change(running.store, key, lambda _: data)
    running.assert_stays(DAMAGED, "is not what was published")
    pulling.change(running.store, key, lambda _: whole)
    running.assert_recovers()


def test_a_damaged_version_is_not_fetched_again_at_every_look(running):
    pulling.flip(running.store, "digits/2/saved_model.pb")
    running.assert_stays(DAMAGED, "saved_model.pb")
    moved = running.status.bytes
    for _ in range(10):
        running.clock.now += 1
        assert not running.puller.look()
    assert running.status.bytes == moved
    assert running.lag() == 10
    running.push(2)  # A new version is fetched at once.
    assert running.puller.look()
    assert running.status.served == 3


ESCAPES = [
    "../../evil",
    "/etc/evil",
    "assets/../../../evil",
    "a//b",
    "./a",
    "..",
    "assets/..",
    "a\\..\\b",
    "a\0b",
    "",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_a_manifest_that_names_a_path_outside_is_refused_before_anything_is_fetched(
    path, running, tmp_path
):
    def escape(record):
        record["files"][path] = record["files"]["saved_model.pb"]

    pulling.edit_manifest(running.store, 2, escape)
    running.store.requests.clear()
    running.assert_stays(DAMAGED, "does not lie inside")
    assert not [request for request in running.store.requests if request[0] == "stream"]
    assert sorted(os.listdir(tmp_path)) in (["served"], ["bucket", "served"])
    pulling.edit_manifest(running.store, 2, lambda record: record["files"].pop(path))
    running.assert_recovers()


MANGLED = {
    "a file that is a directory": lambda record: record["files"].update(
        {"saved_model.pb/x": record["files"]["saved_model.pb"]}
    ),
    "no files": lambda record: record.pop("files"),
    "files of another kind": lambda record: record.update(files=[1]),
    "no sentinel": lambda record: record["files"].pop("saved_model.pb"),
    "a negative size": lambda record: record["files"]["saved_model.pb"].update(bytes=-1),
    "a size in words": lambda record: record["files"]["saved_model.pb"].update(bytes="5"),
    "no sum": lambda record: record["files"]["saved_model.pb"].update(sha256="abc"),
    "another sum": lambda record: record["files"]["saved_model.pb"].update(sha256="0" * 64),
    "another digest": lambda record: record.update(digest="0" * 64),
}


@pytest.mark.parametrize("edit", MANGLED.values(), ids=MANGLED)
def test_a_manifest_that_was_changed_is_refused(edit, models, tmp_path):
    running = Running("memory", models, tmp_path)
    whole = running.store.read("_tfx/digits/commits/2.json").data
    pulling.edit_manifest(running.store, 2, edit)
    running.assert_stays(DAMAGED, "digits/2")
    pulling.change(running.store, "_tfx/digits/commits/2.json", lambda _: whole)
    running.assert_recovers()


def test_a_commit_record_that_is_no_json_is_refused(models, tmp_path):
    running = Running("memory", models, tmp_path)
    pulling.change(running.store, "_tfx/digits/commits/2.json", lambda _: b"[1")
    pulling.change(running.store, "_tfx/digits/claims/2.json", lambda _: b"[1")
    running.assert_stays(BUCKET, "no manifest")
    running.push(2)
    running.assert_recovers(2)


def test_a_version_that_is_deleted_while_it_is_downloaded(running, monkeypatch):
    """Retention removes 2 after its first file was read; 3 was pushed meanwhile."""
    stream, removed = running.store._store.stream, []

    def deleting(key):
        if not removed and key.startswith("digits/2/"):
            removed.append(key)
            running.push(2)
            running.push(3)
            monkeypatch.undo()
            retain(running.destination, 1, store=running.store._store)
        yield from stream(key)

    monkeypatch.setattr(running.store._store, "stream", deleting)
    running.assert_stays(BUCKET, "")
    assert removed
    running.assert_recovers(3)


def test_a_disk_that_is_too_small_is_known_before_a_byte_is_moved(running, monkeypatch):
    moved = running.status.bytes
    usage = shutil.disk_usage(running.directory)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
        running.assert_stays(DISK, "has 10 left")
    assert running.status.bytes == moved
    running.assert_recovers()


def test_a_disk_that_becomes_full_on_the_way(running, tmp_path):
    """The process may write no file larger than this: a real error of a real write."""
    big = bucket.write_model(tmp_path / "big", weights=os.urandom(100_000))
    publish(big, running.destination, store=running.store)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        running.assert_stays(DISK, "File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    running.models = [*running.models, big]
    running.assert_recovers(4)


@pytest.mark.parametrize("when", [0.0, 4e9])
def test_a_wall_clock_that_jumps_changes_nothing(running, when, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: when)
    assert running.puller.look()
    assert running.status.served == 2
    assert running.lag() == 0
    running.push(2)
    running.store.down = ("stream",)
    assert not running.puller.look()
    running.clock.now += 7
    assert running.lag() == 7


def test_a_thousand_versions_cost_few_requests_and_no_room(models, tmp_path):
    destination, store = pulling.new("memory", tmp_path)
    publish(models[0], destination, store=store)
    files = [(entry.key, store.read(entry.key).data) for entry in store.list("")]
    for number in range(2, 1001):
        for key, data in files:
            store.create(key.replace("/1/", f"/{number}/").replace("/1.", f"/{number}."), data)
    counting = pulling.Unreachable(store)
    puller = pulling.puller(counting, tmp_path / "served")
    assert puller.look()
    assert sorted(pulling.served(tmp_path / "served")) == [1000]
    assert len(counting.requests) <= 4 + 5
    counting.requests.clear()
    assert puller.look()
    assert len(counting.requests) == 3


def test_where_nothing_is_served_yet_a_damaged_highest_version_gives_way(running, tmp_path):
    """A server that starts now is as well off as those that started before the damage."""
    pulling.flip(running.store, "digits/2/saved_model.pb")
    clock = pulling.Clock()
    fresh = pulling.puller(running.store, tmp_path / "fresh", clock=clock)
    assert not fresh.look()
    assert sorted(pulling.served(tmp_path / "fresh")) == [1]
    status = fresh.status.models["digits"]
    assert (status.served, status.published) == (1, 2)
    assert fresh.status.ready()
    assert list(pulling.local_config(tmp_path / "fresh")) == ["digits"]
    pulling.flip(running.store, "digits/2/saved_model.pb")
    clock.now += 60
    assert fresh.look()
    assert sorted(pulling.served(tmp_path / "fresh")) == [1, 2]


def test_once_ends_with_what_stands_in_so_that_a_new_pod_starts(running, tmp_path):
    pulling.flip(running.store, "digits/2/saved_model.pb")
    served = str(tmp_path / "fresh")
    found = pull(running.destination.url, served, ["digits"], once=True, store=running.store)
    assert found == {"digits": 1}
    assert list(pulling.local_config(served)) == ["digits"]


def test_a_version_that_stays_damaged_for_weeks_is_tried_again_for_ever(running):
    pulling.flip(running.store, "digits/2/saved_model.pb")
    assert not running.puller.look()
    (model,) = running.puller._models
    model.times = 5000
    running.clock.now += 600
    assert not running.puller.look()
    running.clock.now += 600
    running.assert_stays(DAMAGED, "digits/2/saved_model.pb is not what was published")


def test_one_model_that_fails_does_not_hold_up_another(models, tmp_path):
    destination, store = pulling.new("memory", tmp_path)
    for place in (destination, parse_destination(destination.url, "taxi")):
        publish(models[0], place, store=store)
    pulling.flip(store, "digits/1/saved_model.pb")
    puller = pulling.puller(store, tmp_path / "served", "digits", "taxi")
    assert not puller.look()
    assert puller.status.models["taxi"].served == 1
    assert puller.status.models["taxi"].error == ""
    assert not puller.status.ready()
    assert list(pulling.local_config(tmp_path / "served")) == ["taxi"]


def test_what_cannot_be_removed_is_counted_and_serving_goes_on(running, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("not yours")

    running.push(2)
    assert running.puller.look()
    running.push(3)
    with monkeypatch.context() as patch:
        patch.setattr(puller_module.Served, "remove", refuse)
        assert not running.puller.look()
    assert running.status.failures[DISK] == 1
    assert running.status.served == 4
    running.assert_recovers(3)
