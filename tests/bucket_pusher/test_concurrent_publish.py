"""Several publishers at once, and publishers that are killed."""

import os
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import bucket, publishers

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish

KILLS = 10


@pytest.fixture(scope="module")
def publish_in_forks():
    with publishers.forks() as publish_in_forks:
        yield publish_in_forks


def test_threads_publish_distinct_whole_versions(tmp_path):
    models = [
        bucket.write_model(tmp_path / "models" / str(number), weights=bytes([number]) * 1000)
        for number in range(16)
    ]
    root = str(tmp_path / "bucket")
    destination = parse_destination(root, "digits")
    with ThreadPoolExecutor(len(models)) as threads:
        published = list(threads.map(lambda model: publish(model, destination), models))
    assert sorted(item.version for item in published) == list(range(1, 17))
    for model, item in zip(models, published, strict=True):
        assert bucket.file_digests(item.path) == bucket.file_digests(model)
    assert bucket.staged(root, "digits") == []


def test_processes_publish_distinct_whole_versions(tmp_path, publish_in_forks):
    root = str(tmp_path / "bucket")
    models = bucket.write_models(tmp_path / "models", 24)
    for round_ in range(1, 4):
        assert publish_in_forks(models[8 * round_ - 8 : 8 * round_], root, "digits") == [0] * 8
        assert bucket.assert_whole(root, "digits", *models) == list(range(1, 8 * round_ + 1))
    assert bucket.staged(root, "digits") == []


def test_a_publisher_that_is_killed_shows_nothing_or_a_whole_version(tmp_path, publish_in_forks):
    big = bucket.write_model(tmp_path / "model", weights=bytes(16 << 20))
    root = str(tmp_path / "bucket")
    started = time.monotonic()
    assert publish_in_forks([big], root, "digits") == [0]
    window = time.monotonic() - started

    moments, killed_at_work, models = random.Random(0), 0, [big]
    for number in range(100):
        before = len(bucket.staged(root, "digits"))
        models.append(variant(big, tmp_path / f"model{number}"))
        (code,) = publish_in_forks(
            models[-1:], root, "digits", kill_after=moments.uniform(0, window)
        )
        bucket.assert_whole(root, "digits", *models)
        if len(bucket.staged(root, "digits")) > before:
            killed_at_work += 1
        else:  # Too late or too early: follow the pace of this machine.
            window *= 0.9 if code == 0 else 1.05
        if killed_at_work == KILLS:
            break
    assert killed_at_work == KILLS

    highest = max(bucket.versions(root, "digits"))
    last = variant(big, tmp_path / "last")
    assert publish(last, parse_destination(root, "digits")).version > highest
    bucket.assert_whole(root, "digits", *models, last)


def variant(model, directory):
    """Another model that shares its large files."""
    shutil.copytree(model, directory, copy_function=os.link)
    os.remove(directory / "assets" / "vocabulary.txt")
    (directory / "assets" / "vocabulary.txt").write_text(str(directory))
    return str(directory)
