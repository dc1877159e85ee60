"""Modes, labels, roll-backs, retention and verification, as a user meets them."""

import json
import os
import shutil

import pytest
from click.testing import CliRunner
from support import bucket, races, stores

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.numbering import next_version
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import promote, rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.versions import verify, versions
from tfx_shrink.cli import main
from tfx_shrink.errors import ModelError, ParameterError, PublishError
from tfx_shrink.lineage import model_state

KINDS = ("file", "memory-listed", "memory")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 32)


@pytest.fixture(params=KINDS)
def place(request, tmp_path):
    """(destination, store)."""
    if request.param == "file":
        return stores.new_directory(tmp_path / "bucket")
    return stores.new_memory(request.param == "memory-listed")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_thirty_two_publishers_at_once_make_thirty_two_whole_versions(models, place):
    races.assert_distinct_whole_versions(models, *place)


def test_models_pushed_at_once_do_not_lose_each_others_entry(models, place):
    races.assert_no_entry_is_lost(models[:6], *place)


def test_what_is_live_is_not_pushed_again(models, place):
    destination, store = place
    first = publish(models[0], destination, store=store)
    again = publish(models[0], destination, store=store)
    assert (first.new, again.new) == (True, False)
    assert again.version == first.version == 1
    assert first.digest == model_state(models[0]).digest


def test_what_differs_in_warm_ups_and_timings_alone_is_the_same_content(models, place, tmp_path):
    destination, store = place
    publish(models[0], destination, store=store)
    same = bucket.write_models(tmp_path, 1)[0]
    with open(os.path.join(same, "assets.extra", "tf_serving_warmup_requests"), "wb") as file:
        file.write(b"requests")
    assert publish(same, destination, store=store).version == 1


def test_older_content_becomes_a_new_version_in_latest_and_is_pointed_to_in_pinned(models, place):
    destination, store = place
    for mode, numbers in (("latest", [1, 2, 3]), ("pinned", [1, 2, 1])):
        other = parse_destination(destination.url, mode)
        order = (models[0], models[1], models[0])
        assert [publish(item, other, mode=mode, store=store).version for item in order] == numbers
    assert models_config.read_pins(store, "pinned")[0]["stable"] == 1


def test_an_older_copy_that_was_damaged_is_not_spread(models, place):
    destination, store = place
    publish(models[0], destination, store=store)
    publish(models[1], destination, store=store)
    flip(store, "digits/1/variables/variables.index")
    number = publish(models[0], destination, store=store).version
    assert verify(destination, number, store=store)[0].problems == ()


def test_a_canary_is_promoted_and_taken_back(models, place):
    destination, store = place
    publish(models[0], destination, mode="pinned", store=store)
    publish(models[1], destination, mode="pinned", label="canary", store=store)
    assert models_config.read_pins(store, "digits") == ({"stable": 1, "canary": 2}, {1, 2})
    assert promote(destination, store=store) == {"stable": 2, "canary": 2, "previous": 1}
    assert models_config.read_pins(store, "digits")[1] == {1, 2}  # No load when it goes back.
    assert rollback(destination, store=store).version == 1
    assert models_config.read_pins(store, "digits")[0] == {"stable": 1, "canary": 2}
    with pytest.raises(ParameterError, match="Give the version to go back to"):
        rollback(destination, store=store)
    assert rollback(destination, 2, store=store).version == 2


def test_without_a_canary_nothing_is_promoted(models, place):
    destination, store = place
    publish(models[0], destination, mode="pinned", store=store)
    with pytest.raises(ParameterError, match="label 'canary'"):
        promote(destination, store=store)


def test_a_rollback_in_latest_is_a_new_version_and_goes_further_back_each_time(models, place):
    destination, store = place
    for model in models[:3]:
        publish(model, destination, store=store)
    digests = [model_state(model).digest for model in models[:3]]
    done = rollback(destination, store=store)
    assert (done.version, done.digest) == (4, digests[1])
    done = rollback(destination, store=store)
    assert (done.version, done.digest) == (5, digests[0])
    with pytest.raises(ParameterError, match=r"5 serves what 1 holds, and nothing .* as `version`"):
        rollback(destination, store=store)
    with pytest.raises(ParameterError, match=r"Received: version=9"):
        rollback(destination, 9, store=store)
    assert [item.state for item in versions(destination, store=store)] == ["complete"] * 5


def test_a_damaged_version_is_not_rolled_back_to(models, place):
    destination, store = place
    for model in models[:2]:
        publish(model, destination, store=store)
    flip(store, "digits/1/variables/variables.index")
    with pytest.raises(PublishError, match=r"variables\.index"):
        rollback(destination, store=store)
    assert stores.aspired(store, "latest") == [2]


def test_retention_spares_what_is_named_and_says_before_what_it_would_do(models, place):
    destination, store = place
    for model in models[:5]:
        publish(model, destination, mode="pinned", store=store)
    rollback(destination, 1, store=store)
    before = stores.keys(store)
    planned = retain(destination, 1, dry_run=True, store=store)
    assert stores.keys(store) == before
    done = retain(destination, 1, store=store)
    assert (planned.kept, planned.removed) == (done.kept, done.removed) == ((1, 5), (2, 3, 4))
    assert [item.version for item in versions(destination, store=store)] == [5, 1]
    assert publish(models[6], destination, mode="pinned", store=store).version == 6


def test_retention_spares_a_push_in_flight_and_what_others_wrote(models, place):
    destination, store = place
    store.create("digits/1/saved_model.pb", b"of another tool")
    dying = stores.DyingStore(store, 14)
    with pytest.raises(stores.Died):
        publish(models[0], destination, store=dying)
    for model in models[1:4]:
        publish(model, destination, store=store)
    done = retain(destination, 1, store=store)
    assert 1 in done.kept
    assert done.leftovers == ()
    assert versions(destination, store=store)[-1].state == "foreign"


@pytest.mark.parametrize("keep", [0, -1, True])
def test_retention_of_nothing_is_refused(place, keep):
    with pytest.raises(ParameterError, match="at least 1"):
        retain(place[0], keep, store=place[1])


def test_a_dead_push_is_resumed_where_nobody_has_seen_it(models):
    destination, store = stores.new_memory(False)
    with pytest.raises(stores.Died):
        publish(models[0], destination, store=stores.DyingStore(store, 10))
    sent = []
    upload = store.upload
    store.upload = lambda key, path: (sent.append(key), upload(key, path))
    assert publish(models[0], destination, store=store).version == 1
    assert 0 < len(sent) < 4


def test_what_is_live_goes_above_a_number_that_a_dead_push_left_half_written(models):
    destination, store = stores.new_memory(False)
    publish(models[0], destination, store=store)
    with pytest.raises(stores.Died):
        publish(models[1], destination, store=stores.DyingStore(store, 10))
    assert store.children("digits/") == ["1", "2"]
    assert publish(models[0], destination, store=store).version == 3


def test_a_number_that_was_seen_half_written_is_never_completed(models):
    destination, store = stores.new_memory(True)
    number = 1
    while not store.children("digits/"):  # Later and later, until files of it are visible.
        with pytest.raises(stores.Died):
            publish(models[0], destination, store=stores.DyingStore(store, number))
        number += 1
    (half,) = store.children("digits/")
    assert publish(models[0], destination, store=store).version > int(half)
    assert versions(destination, store=store)[-1].state == "incomplete"


@pytest.mark.parametrize("clock", [0, 5, 2**62])
def test_a_timestamp_is_always_above_the_highest_version(clock):
    highest = 1_800_000_000
    number = next_version("timestamp", {3, highest}, "url", clock=lambda: clock)
    assert number == max(clock, highest + 1)


def test_an_explicit_version_must_be_the_highest(models, place):
    destination, store = place
    assert publish(models[0], destination, versioning=7, store=store).version == 7
    assert publish(models[1], destination, versioning="9", store=store).version == 9
    with pytest.raises(ParameterError, match=r"has had 9\. Received: versioning=8"):
        publish(models[2], destination, versioning=8, store=store)


def test_a_models_config_that_nobody_can_read_is_left_alone(models, place):
    destination, store = place
    store.create("models.config", b"not { a config")
    with pytest.raises(PublishError, match=r"models\.config is no ModelServerConfig"):
        publish(models[0], destination, mode="pinned", store=store)
    assert store.read("models.config").data == b"not { a config"


def test_a_flipped_byte_is_named_and_the_exit_code_says_so(models, tmp_path):
    root = tmp_path / "bucket"
    assert run("push", models[0], root, "--model-name", "digits").exit_code == 0
    assert run("verify", root, "--model-name", "digits").exit_code == 0
    flip(stores.new_directory(root)[1], "digits/1/variables/variables.index")
    result = run("verify", root, "--model-name", "digits", "--version", 1)
    assert result.exit_code == 1
    assert "digits/1/variables/variables.index has changed" in result.stdout
    result = run("verify", root, "--model-name", "digits", "--json")
    assert result.exit_code == 1
    assert "variables.index" in json.loads(result.stdout)[0]["problems"][0]


def test_a_missing_file_and_a_stranger_are_named(models, place):
    destination, store = place
    publish(models[0], destination, store=store)
    store.delete(["digits/1/assets/vocabulary.txt"])
    store.create("digits/1/stranger", b"")
    (found,) = verify(destination, store=store)
    assert found.problems == (
        "digits/1/assets/vocabulary.txt is missing.",
        "digits/1/stranger does not belong to the version.",
    )


def test_every_verb_prints_a_table_and_json(models, tmp_path):
    place = (tmp_path / "bucket", "--model-name", "digits")
    pinned = ("--mode", "pinned")
    assert "published: " in run("push", models[0], *place, *pinned).stdout
    assert "already there: " in run("push", models[0], *place, *pinned).stdout
    pushed = json.loads(
        run("push", models[1], *place, *pinned, "--label", "canary", "--json").stdout
    )
    assert (pushed["version"], pushed["new"]) == (2, True)
    table = run("versions", *place).stdout.splitlines()
    assert table[0].split()[:4] == ["version", "state", "bytes", "files"]
    assert "canary" in table[1]
    assert [item["version"] for item in json.loads(run("versions", *place, "--json").stdout)] == [
        2,
        1,
    ]
    assert json.loads(run("promote", *place, "--json").stdout)["stable"] == 2
    assert "stable" in run("promote", *place).stdout
    assert json.loads(run("rollback", *place, "--json").stdout)["version"] == 1
    assert run("rollback", *place, "--version", 2).stdout.rstrip().endswith("/digits/2")
    run("push", models[2], *place)
    planned = json.loads(run("retain", *place, "--keep", 1, "--dry-run", "--json").stdout)
    assert planned["dry_run"]
    assert "stays" in run("retain", *place, "--keep", 1).stdout
    assert "whole" in run("verify", *place).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model-name", "a/b"), "Received: model_name='a/b'"),
        (("--model-name", ".."), "Received: model_name='..'"),
        (
            ("--model-name", "m", "--versioning", 2**63),
            "Received: versioning='9223372036854775808'",
        ),
        (("--model-name", "m", "--mode", "x"), "Received: mode='x'"),
    ],
)
def test_a_bad_push_is_refused_before_anything_is_written(models, tmp_path, arguments, words):
    result = run("push", models[0], tmp_path / "bucket", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert not (tmp_path / "bucket").exists()


def test_a_directory_without_a_model_is_refused_on_every_store(place, tmp_path):
    with pytest.raises(ModelError, match="holds no model"):
        publish(str(tmp_path), place[0], store=place[1])
    assert stores.keys(place[1]) == []


def flip(store, key):
    """Changes one byte of an object and leaves its size."""
    found = store.read(key)
    data = bytes([found.data[0] ^ 1]) + found.data[1:]
    assert store.replace(key, data, found.etag)


def test_versions_of_a_model_that_is_not_there_names_those_that_are(tmp_path):
    arguments = ["versions", str(tmp_path), "--model-name", "animal"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert f"No version of animal at {tmp_path}. There is no model at all." in done.stderr
    for name in ("digits", "taxi.v2"):
        destination = parse_destination(str(tmp_path), name)
        publish(bucket.write_model(tmp_path / "model"), destination, mode="pinned")
    shutil.rmtree(tmp_path / "model")
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert "The models there are ['digits', 'taxi.v2']." in done.stderr


def test_the_command_says_which_version_is_served_again(tmp_path):
    destination = parse_destination(str(tmp_path / "bucket"), "animal")
    for model in bucket.write_models(tmp_path / "models", 2):
        publish(model, destination)
    done = CliRunner().invoke(main, ["rollback", destination.url, "--model-name", "animal"])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"served: {tmp_path}/bucket/animal/3, the same as version 1\n"
