"""What `publish` promises when nothing goes wrong with the machine."""

import json
import os
import resource
import shutil

import pytest
from support import bucket

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import check_writable, publish
from tfx_shrink.errors import ModelError, PublishError
from tfx_shrink.lineage import file_digests


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "bucket")


@pytest.fixture
def destination(root):
    return parse_destination(f"file://{root}", "digits")


@pytest.fixture
def model(tmp_path):
    return bucket.write_model(tmp_path / "model")


def test_a_saved_model_is_published_whole(model, destination, root):
    published = publish(model, destination)
    assert published.version == 1
    assert published.path == os.path.join(root, "digits", "1")
    assert published.url == f"file://{root}/digits/1"
    assert published.bytes == sum(size for size, _ in file_digests(model).values())
    assert file_digests(published.path) == file_digests(model)
    assert bucket.staged(root, "digits") == []


def test_of_a_tflite_model_only_what_a_server_reads_is_published(tmp_path, destination):
    published = publish(bucket.write_tflite(tmp_path / "model"), destination)
    assert sorted(file_digests(published.path)) == ["assets.extra/compression.json", "model.tflite"]
    assert published.bytes == len(b"flatbuffer") + len(b'{"steps": []}')


@pytest.fixture
def models(tmp_path):
    return bucket.write_models(tmp_path / "models", 3)


def test_versions_rise_by_one(models, destination, root):
    assert [publish(model, destination).version for model in models] == [1, 2, 3]
    assert bucket.assert_whole(root, "digits", *models) == [1, 2, 3]


def test_models_have_their_own_numbers(model, destination, root):
    publish(model, destination)
    assert publish(model, parse_destination(root, "letters")).version == 1


@pytest.mark.parametrize("deleted", [[2], [1, 2]])
def test_a_number_is_not_used_again_after_its_version_was_deleted(
    models, destination, root, deleted
):
    for model in models[:2]:
        publish(model, destination)
    for version in deleted:
        shutil.rmtree(os.path.join(root, "digits", str(version)))
    assert publish(models[2], destination).version == 3


@pytest.mark.parametrize("make", [os.mkdir, lambda path: open(path, "w").close()])
@pytest.mark.parametrize("name", ["7", "00007", "+7"])
def test_whatever_a_server_takes_for_a_version_takes_its_number(
    model, destination, root, make, name
):
    os.makedirs(os.path.join(root, "digits"))
    make(os.path.join(root, "digits", name))
    assert publish(model, destination).version == 8


@pytest.mark.parametrize("name", ["-3", "latest", "7.tmp", "_8", "0"])
def test_other_neighbours_are_no_versions(model, destination, root, name):
    os.makedirs(os.path.join(root, "digits", name))
    assert publish(model, destination).version == 1


def test_after_the_highest_number_there_is_none(models, destination, root):
    os.makedirs(os.path.join(root, "digits", str(2**63 - 2)))
    assert publish(models[0], destination).version == 2**63 - 1
    with pytest.raises(PublishError, match=f"{2**63 - 1}.*another model_name"):
        publish(models[1], destination)
    assert bucket.staged(root, "digits") == []


def test_the_commit_record_says_what_was_published(model, destination, root):
    published = publish(model, destination)
    with open(os.path.join(root, "_tfx", "digits", "commits", "1.json")) as file:
        record = json.load(file)
    assert record["version"] == 1
    digests = {path: (item["bytes"], item["sha256"]) for path, item in record["files"].items()}
    assert digests == file_digests(published.path)


@pytest.mark.parametrize("files", [[], ["tflite"], ["variables/variables.index"]])
def test_a_directory_without_a_model_is_refused(tmp_path, destination, root, files):
    for name in files:
        (tmp_path / "empty" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "empty" / name).touch()
    with pytest.raises(ModelError, match=r"neither saved_model\.pb nor model\.tflite") as error:
        publish(str(tmp_path / "empty"), destination)
    assert str(files) in str(error.value)
    assert not os.path.exists(root)


@pytest.mark.parametrize("check", [False, True])
def test_a_destination_that_cannot_be_written_is_named_with_a_remedy(tmp_path, model, check):
    (tmp_path / "file").write_text("not a directory")
    destination = parse_destination(f"file://{tmp_path}/file/bucket", "digits")
    with pytest.raises(PublishError, match=r"file://.*/file/bucket: .*writ") as error:
        check_writable(destination) if check else publish(model, destination)
    assert "directory" in str(error.value).split(destination.url)[-1]
    assert sorted(os.listdir(tmp_path)) == ["file", "model"]


def test_checking_that_a_destination_is_writable_leaves_nothing_there(root, destination):
    check_writable(destination)
    assert not os.path.exists(root) or os.listdir(root) == []


def test_a_file_that_does_not_fit_is_a_publish_error(tmp_path, destination, root):
    model = bucket.write_model(tmp_path / "model", weights=bytes(1 << 20))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 19, hard))
    try:
        with pytest.raises(PublishError, match="disk is not full"):
            publish(model, destination)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert bucket.versions(root, "digits") == {}
    assert bucket.staged(root, "digits") == []


@pytest.mark.parametrize("damage", [b"weightz", b"weight", b""])
def test_a_file_that_arrives_changed_is_not_published(
    model, destination, root, monkeypatch, damage
):
    copy = shutil.copyfile

    def damaged_copy(source, target):
        copy(source, target)
        if "variables.data" in target:
            with open(target, "wb") as file:
                file.write(damage)

    monkeypatch.setattr(shutil, "copyfile", damaged_copy)
    with pytest.raises(PublishError, match=r"variables\.data.* changed on the way"):
        publish(model, destination)
    assert bucket.versions(root, "digits") == {}
    assert bucket.staged(root, "digits") == []
