"""What a pull brings, keeps and removes."""

import os
import threading

import pytest
from support import bucket, pulling

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError, PullError
from tfx_shrink.lineage import file_digests
from tfx_shrink.puller.pull import pull
from tfx_shrink.puller.served import only_one


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 6)


@pytest.fixture(params=pulling.KINDS)
def place(request, tmp_path):
    """(destination, store)."""
    return pulling.new(request.param, tmp_path)


def test_each_new_version_arrives_whole_and_the_last_two_stay(models, place, tmp_path):
    destination, store = place
    puller = pulling.puller(store, tmp_path / "served")
    for number, model in enumerate(models[:4], 1):
        publish(model, destination, store=store)
        assert puller.look()
        there = pulling.served(tmp_path / "served")
        assert sorted(there) == list(range(max(1, number - 1), number + 1))
        assert there[number] == file_digests(model)
        assert puller.status.models["digits"].served == number
    pulling.assert_tidy(tmp_path / "served")


def test_a_new_directory_gets_the_highest_version_alone(models, place, tmp_path):
    destination, store = place
    for model in models[:3]:
        publish(model, destination, store=store)
    done = pull(destination.url, str(tmp_path / "served"), ["digits"], once=True, store=store)
    assert done == {"digits": 3}
    assert sorted(pulling.served(tmp_path / "served")) == [3]


def test_several_models_are_pulled_into_one_directory(models, place, tmp_path):
    destination, store = place
    for name, model in (("digits", models[0]), ("taxi", models[1]), ("other", models[2])):
        publish(model, parse_destination(destination.url, name), store=store)
    served = tmp_path / "served"
    done = pull(destination.url, str(served), ["digits", "taxi"], once=True, store=store)
    assert done == {"digits": 1, "taxi": 1}
    assert pulling.served(served, "taxi") == {1: file_digests(models[1])}
    assert pulling.served(served, "other") == {}
    # One server of several models needs a models.config, also where nothing is pinned.
    assert pulling.local_config(served) == {
        name: (str(served / name), set(), {}) for name in ("digits", "taxi")
    }


def test_a_rollback_arrives_as_the_higher_version_that_it_is(models, place, tmp_path):
    destination, store = place
    puller = pulling.puller(store, tmp_path / "served")
    for model in models[:2]:
        publish(model, destination, store=store)
        assert puller.look()
    rollback(destination, store=store)
    assert puller.look()
    assert pulling.served(tmp_path / "served")[3] == file_digests(models[0])


def test_versions_that_retention_removed_from_the_bucket_stay_on_the_disk(models, place, tmp_path):
    destination, store = place
    puller = pulling.puller(store, tmp_path / "served", keep=3)
    for model in models[:3]:
        publish(model, destination, store=store)
        assert puller.look()
    retain(destination, 1, store=store)
    assert puller.look()
    assert sorted(pulling.served(tmp_path / "served")) == [1, 2, 3]


def test_a_version_whose_publisher_died_before_its_commit_record_is_served(models, place, tmp_path):
    destination, store = place
    publish(models[0], destination, store=store)
    store.delete(["_tfx/digits/commits/1.json"])
    assert pulling.puller(store, tmp_path / "served").look()
    assert pulling.served(tmp_path / "served") == {1: file_digests(models[0])}


def test_what_is_written_just_now_is_not_served(models, place, tmp_path):
    destination, store = place
    publish(models[0], destination, store=store)
    publish(models[1], destination, store=store)
    sentinel = "digits/2/saved_model.pb"
    store.delete(["_tfx/digits/commits/2.json"])
    puller = pulling.puller(store, tmp_path / "served")
    with pulling.without(store, sentinel):
        assert puller.look()
        assert sorted(pulling.served(tmp_path / "served")) == [1]
    assert puller.look()
    assert sorted(pulling.served(tmp_path / "served")) == [1, 2]


def test_a_bucket_without_a_version_empties_nothing_and_says_so(models, place, tmp_path):
    destination, store = place
    with pytest.raises(PullError, match="holds no version that tfx-shrink published"):
        pull(destination.url, str(tmp_path / "served"), ["digits"], once=True, store=store)
    publish(models[0], destination, store=store)
    puller = pulling.puller(store, tmp_path / "served")
    assert puller.look()
    for entry in store.list(""):
        store.delete([entry.key])
    assert not puller.look()
    assert sorted(pulling.served(tmp_path / "served")) == [1]
    assert "holds no version" in puller.status.models["digits"].error


def test_a_lower_version_than_what_is_served_is_not_gone_back_to(models, place, tmp_path):
    destination, store = place
    puller = pulling.puller(store, tmp_path / "served", keep=1)
    for model in models[:2]:
        publish(model, destination, store=store)
    assert puller.look()
    keys = [entry.key for entry in store.list("") if "/2" in entry.key]
    store.delete(keys)
    assert not puller.look()
    assert sorted(pulling.served(tmp_path / "served")) == [2]
    assert "Numbers only rise" in puller.status.models["digits"].error


def test_of_two_pullers_into_one_directory_one_works_at_a_time(models, place, tmp_path):
    destination, store = place
    publish(models[0], destination, store=store)
    puller = pulling.puller(store, tmp_path / "served")
    with only_one(str(tmp_path / "served")):
        assert not puller.look()
        assert pulling.served(tmp_path / "served") == {}
    assert puller.look()


def test_others_can_read_what_was_pulled(models, tmp_path):
    destination, store = pulling.new("memory", tmp_path)
    publish(models[0], destination, store=store)
    assert pulling.puller(store, tmp_path / "served").look()
    for directory, _, names in os.walk(tmp_path / "served"):
        assert os.stat(directory).st_mode & 0o055 == 0o055
        assert all(os.stat(os.path.join(directory, name)).st_mode & 0o044 for name in names)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep": 0}, "at least 1"),
        ({"poll_seconds": 0.0}, "poll_seconds=0"),
        ({"settle_seconds": -1.0}, "settle_seconds=-1"),
        ({"port": 70000}, "port=70000"),
        ({"model_names": []}, r"model_names=\[\]"),
        ({"model_names": ["a", "a"]}, r"model_names=\['a', 'a'\]"),
        ({"model_names": ["../up"]}, r"model_name='\.\./up'"),
        ({"url": "ftp://x"}, "push_destination='ftp://x'"),
        ({"directory": "s3://models/x"}, "directory='s3://models/x'"),
    ],
)
def test_a_bad_parameter_is_refused_before_anything_is_written(options, words, tmp_path):
    given = {
        "url": f"memory://{tmp_path.name}",
        "directory": str(tmp_path / "served"),
        "model_names": ["digits"],
        **options,
    }
    with pytest.raises(ParameterError, match=words):
        pull(**given, once=True)
    assert os.listdir(tmp_path) == []


def test_the_bucket_itself_is_refused_as_the_directory(models, tmp_path):
    publish(models[0], parse_destination(str(tmp_path), "digits"))
    with pytest.raises(ParameterError, match="the bucket itself"):
        pull(f"file://{tmp_path}", str(tmp_path), ["digits"], once=True)


def test_a_directory_that_cannot_be_written_is_named(models, tmp_path):
    destination, store = pulling.new("memory", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(PullError, match=r"file/served.*Give a directory"):
        pull(destination.url, str(tmp_path / "file/served"), ["digits"], once=True, store=store)


def test_a_pull_that_is_stopped_returns_what_is_served(models, tmp_path):
    destination = parse_destination(str(tmp_path / "bucket"), "digits")
    publish(models[0], destination)
    stop = threading.Event()
    store = pulling.Unreachable(open_store(destination))
    threading.Timer(0.3, stop.set).start()
    served = pull(
        destination.url,
        str(tmp_path / "served"),
        ["digits"],
        poll_seconds=0.05,
        stop=stop,
        store=store,
    )
    assert served == {"digits": 1}
    assert sum(request[0] == "read" for request in store.requests) > 2
