"""Files that are stored compressed and restored by the puller."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import zstandard
from click.testing import CliRunner
from support import bucket, pulling, stores

from tfx_shrink.bucket_pusher.component import BucketPusher
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.packing import packed, unpacked
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.release import rollback
from tfx_shrink.bucket_pusher.retain import retain
from tfx_shrink.bucket_pusher.versions import verify, versions
from tfx_shrink.cli import main
from tfx_shrink.errors import ParameterError, PublishError
from tfx_shrink.lineage import file_digests
from tfx_shrink.puller.status import DAMAGED
from tfx_shrink.tfx_seam.components import Channel, standard_artifacts


def pruned(count=1_000_000, sparsity=0.8):
    """The bytes of float32 weights of which so many are zero."""
    chance = np.random.default_rng(0)
    weights = chance.normal(size=count).astype(np.float32)
    weights[np.abs(weights) < np.quantile(np.abs(weights), sparsity)] = 0
    return weights.tobytes()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    made = [bucket.write_model(root / "0", pruned()), *bucket.write_models(root / "more", 2)]
    open(os.path.join(made[0], "assets", "empty.txt"), "w").close()
    return made


@pytest.fixture
def place(tmp_path):
    """(destination, store)."""
    return pulling.new("memory", tmp_path)


def test_zeros_save_bytes_of_the_bucket_and_of_the_network_and_all_comes_back(
    models, place, tmp_path
):
    destination, store = place
    whole = publish(models[0], destination, transport="zstd", store=store)
    in_bucket = sum(entry.size for entry in store.list("digits/1/"))
    assert whole.bytes > 2.5 * in_bucket
    puller = pulling.puller(store, tmp_path / "served")
    assert puller.look()
    assert puller.status.models["digits"].bytes == in_bucket
    assert pulling.served(tmp_path / "served") == {1: file_digests(models[0])}


def test_the_manifest_holds_the_sums_of_what_is_stored_and_of_what_it_becomes(models, place):
    destination, store = place
    publish(models[0], destination, transport="zstd", store=store)
    record = json.loads(store.read("_tfx/digits/commits/1.json").data)
    assert {path: file["sha256"] for path, file in record["files"].items()} == sums(models[0])
    stored = {entry.key.removeprefix("digits/1/"): entry.size for entry in store.list("digits/1/")}
    assert {path: file["bytes"] for path, file in record["stored"].items()} == stored
    assert set(stored) == set(record["files"])


def sums(directory):
    found = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            found[os.path.relpath(path, directory)] = digest
    return found


def test_the_same_content_is_live_however_it_is_stored(models, place):
    destination, store = place
    assert publish(models[1], destination, store=store).version == 1
    again = publish(models[1], destination, transport="zstd", store=store)
    assert (again.version, again.new) == (1, False)


def test_verify_rollback_retain_and_versions_know_what_is_compressed(models, place, tmp_path):
    destination, store = place
    for model in models:
        publish(model, destination, transport="zstd", store=store)
    assert rollback(destination, store=store).version == 4
    assert [found.problems for found in verify(destination, store=store)] == [()]
    assert {item.state for item in versions(destination, store=store)} == {"complete"}
    assert retain(destination, 1, store=store).kept == (4,)
    assert pulling.puller(store, tmp_path / "served").look()
    assert pulling.served(tmp_path / "served") == {4: file_digests(models[1])}
    pulling.flip(store, "digits/4/saved_model.pb")
    assert "saved_model.pb has changed" in verify(destination, 4, store=store)[0].problems[0]


def test_a_push_that_died_is_resumed(models, place):
    destination, store = place
    with pytest.raises(stores.Died):
        publish(models[1], destination, transport="zstd", store=stores.DyingStore(store, 10))
    assert publish(models[1], destination, transport="zstd", store=store).version == 1
    # Files of the other transport are not taken for its own.
    with pytest.raises(stores.Died):
        publish(models[2], destination, transport="zstd", store=stores.DyingStore(store, 12))
    assert publish(models[2], destination, store=store).version == 3
    assert verify(destination, 3, store=store)[0].problems == ()


def repack(data):
    return zstandard.ZstdCompressor().compress(data)


def claim_sums(store, path, data):
    """Stores other bytes under a path, and says in the manifest that they belong there."""
    pulling.change(store, f"digits/1/{path}", lambda _: data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    pulling.edit_manifest(store, 1, lambda record: record["stored"].update({path: entry}))


@pytest.mark.parametrize(
    "data",
    [
        b"no zstd at all",
        repack(b"other content"),
        repack(b"graph")[:-1],
        repack(bytes(1 << 26)),
    ],
    ids=["not compressed", "other content", "cut off", "a bomb"],
)
def test_what_does_not_restore_to_what_was_published_is_never_served(data, models, place, tmp_path):
    destination, store = place
    publish(models[1], destination, transport="zstd", store=store)
    whole = {
        key: store.read(key).data
        for key in ("digits/1/saved_model.pb", "_tfx/digits/commits/1.json")
    }
    claim_sums(store, "saved_model.pb", data)
    clock = pulling.Clock()
    puller = pulling.puller(store, tmp_path / "served", clock=clock)
    assert not puller.look()
    assert puller.status.models["digits"].failures[DAMAGED] == 1
    assert pulling.served(tmp_path / "served") == {}
    pulling.assert_tidy(tmp_path / "served")
    for key, content in whole.items():
        pulling.change(store, key, lambda _, content=content: content)
    clock.now += 60
    assert puller.look()


@pytest.mark.parametrize(
    "edit",
    [
        lambda record: record["stored"].pop("saved_model.pb"),
        lambda record: record["stored"].update({"../evil": record["stored"]["saved_model.pb"]}),
        lambda record: record["stored"]["saved_model.pb"].update(sha256="?"),
    ],
)
def test_a_manifest_that_does_not_fit_itself_is_refused(edit, models, place, tmp_path):
    destination, store = place
    publish(models[1], destination, transport="zstd", store=store)
    pulling.edit_manifest(store, 1, edit)
    puller = pulling.puller(store, tmp_path / "served")
    assert not puller.look()
    assert puller.status.models["digits"].failures[DAMAGED] == 1


CHILD = """
import resource, sys
from tfx_shrink.bucket_pusher.packing import unpacked
def pieces():
    with open(sys.argv[1], "rb") as file:
        while piece := file.read(1 << 20):
            yield piece
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = sum(map(len, unpacked(pieces())))
print(total, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_restoring_takes_no_memory_that_grows_with_the_file(tmp_path):
    size = 1 << 30
    compressor = zstandard.ZstdCompressor(level=3)
    with (
        open(tmp_path / "zeros.zst", "wb") as file,
        compressor.stream_writer(file, size=size) as writer,
    ):
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "zeros.zst")],
        capture_output=True,
        text=True,
        check=True,
    )
    total, megabytes = map(int, done.stdout.split())
    assert total == size
    assert megabytes < 40


def test_pieces_of_any_size_are_restored():
    data = os.urandom(1 << 16) * 3
    stored = repack(data)
    for size in (1, 1000, len(stored)):
        pieces = (stored[start : start + size] for start in range(0, len(stored), size))
        assert b"".join(unpacked(pieces)) == data


@pytest.mark.parametrize("url", ["file:///srv/models", "gs://models/prod", "/srv/models"])
def test_it_is_refused_where_tensorflow_serving_reads_itself(url, models):
    with pytest.raises(ParameterError, match="tfx-shrink pull"):
        publish(models[1], parse_destination(url, "digits"), transport="zstd")
    with pytest.raises(ParameterError, match="tfx-shrink pull"):
        BucketPusher(
            Channel(type=standard_artifacts.Model),
            push_destination=url,
            model_name="digits",
            transport="zstd",
        )
    done = CliRunner().invoke(
        main, ["push", models[1], url, "--model-name", "digits", "--transport", "zstd"]
    )
    assert done.exit_code == 1
    assert "tfx-shrink pull" in done.stderr


def test_an_unknown_transport_is_refused_by_name(models, place):
    with pytest.raises(ParameterError, match="Received: transport='gzip'"):
        publish(models[1], place[0], transport="gzip", store=place[1])
    pusher = BucketPusher(
        Channel(type=standard_artifacts.Model),
        push_destination="s3://models/prod",
        model_name="digits",
        transport="zstd",
    )
    assert pusher.exec_properties["transport"] == "zstd"


def test_a_temporary_directory_that_is_full_is_named(models, place, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    destination, store = place
    monkeypatch.setattr(os, "makedirs", refuse)
    with pytest.raises(PublishError, match="TMPDIR"):
        publish(models[1], destination, transport="zstd", store=store)
    assert store.list("") == []


def test_nothing_is_left_in_the_temporary_directory(models, tmp_path, monkeypatch):
    from tfx_shrink.bucket_pusher.content import read_content

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with packed(read_content(models[1]), "zstd") as content:
        assert len(os.listdir(tmp_path)) == 1
        assert content.digest == read_content(models[1]).digest
    assert os.listdir(tmp_path) == []
