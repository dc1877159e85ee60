"""Publishes a model directory as the next version of a model in a bucket."""

import contextlib
import dataclasses
import datetime
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator

import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.errors import ModelError, PublishError

_INT64_MAX = 2**63 - 1
# What TensorFlow Serving takes for a version: absl::SimpleAtoi accepts it
# (tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc).
_NUMBER = re.compile(r"[+-]?\d+")


@dataclasses.dataclass(frozen=True)
class Published:
    """A version that a server can load.

    Attributes:
      version: Its number.
      url: Where it lies, written as the destination was given.
      path: Where it lies, as an absolute local path.
      bytes: Sum of the sizes of its files.
    """

    version: int
    url: str
    path: str
    bytes: int


def publish(model_dir: str, destination: Destination) -> Published:
    """Publishes a model as the next version; a server sees all of it or nothing.

    Files are copied to a staging directory below `<root>/_tfx/<model_name>/`, where TensorFlow
    Serving does not look, read back and compared with their source, and only then renamed to
    `<root>/<model_name>/<N>/`. Numbers rise and are never used twice, also after versions were
    deleted. A push that dies leaves at most its staging directory behind. Of a TFLite model only
    `model.tflite` and `assets.extra/` are published: the name that TensorFlow Serving reads.

    Example:
      ```python
      published = publish("model_int8", parse_destination("/srv/models", "digits"))
      ```

    Args:
      model_dir: A SavedModel's or TFLite model's directory, on any tf.io.gfile file system.
      destination: Where to, from `parse_destination`.

    Returns:
      The version that was made.

    Raises:
      ModelError: `model_dir` holds no model.
      PublishError: The destination cannot be written, or a file arrived changed. Nothing became
        visible.
    """
    files = _files_to_publish(model_dir)
    base = os.path.join(destination.path, destination.model_name)
    books = os.path.join(destination.path, "_tfx", destination.model_name)
    try:
        with _staging(os.path.join(books, "staging")) as staged:
            _copy(model_dir, files, staged)
            os.makedirs(base, exist_ok=True)
            version = _rename_to_next(staged, base, os.path.join(books, "commits"))
        published = Published(
            version=version,
            url=destination.version_url(version),
            path=os.path.join(base, str(version)),
            bytes=sum(size for size, _ in files.values()),
        )
        _commit(os.path.join(books, "commits"), published, files)
    except OSError as error:
        raise PublishError(
            f"Cannot publish to {destination.url}: {error}. Check that the directory exists or "
            "can be made, is writable for this user, and that the disk is not full."
        ) from error
    return published


def check_writable(destination: Destination) -> None:
    """Checks that something can be written below the root, and leaves nothing there.

    Raises:
      PublishError: It cannot; the text says why.
    """
    try:
        with _staging(os.path.join(destination.path, "_tfx", destination.model_name, "staging")):
            pass
    except OSError as error:
        raise PublishError(
            f"Cannot write to {destination.url}: {error}. Give a directory that this user can "
            "write to."
        ) from error


def _files_to_publish(model_dir: str) -> dict[str, tuple[int, str]]:
    files = lineage.file_digests(model_dir)
    if "saved_model.pb" in files:
        return files
    if "model.tflite" in files:
        return {
            path: entry
            for path, entry in files.items()
            if path == "model.tflite" or path.startswith("assets.extra" + os.sep)
        }
    raise ModelError(
        f"{model_dir} holds no model to publish: neither saved_model.pb nor model.tflite. It "
        f"holds {sorted(files)}."
    )


@contextlib.contextmanager
def _staging(parent: str) -> Iterator[str]:
    """A new directory below `parent`, gone afterwards."""
    staged = os.path.join(parent, uuid.uuid4().hex)
    os.makedirs(staged)
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _copy(model_dir: str, files: dict[str, tuple[int, str]], staged: str) -> None:
    directories = {staged}
    for path in files:
        target = os.path.join(staged, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        directories.add(os.path.dirname(target))
        tf.io.gfile.copy(os.path.join(model_dir, path), target)
        _sync(target)
    for directory in directories:
        _sync(directory)
    arrived = lineage.file_digests(staged)
    if arrived != files:
        changed = sorted(path for path in files if arrived.get(path) != files[path])
        raise PublishError(f"{changed} changed on the way from {model_dir} to {staged}.")


def _rename_to_next(staged: str, base: str, commits: str) -> int:
    while True:
        version = _next_version(base, commits)
        try:
            os.rename(staged, os.path.join(base, str(version)))
        except OSError:
            if not os.path.lexists(os.path.join(base, str(version))):
                raise
            continue  # Another publisher was faster.
        _sync(base)
        return version


def _next_version(base: str, commits: str) -> int:
    names = os.listdir(base)
    if os.path.isdir(commits):
        names += [name.removesuffix(".json") for name in os.listdir(commits)]
    version = max((int(name) for name in names if _NUMBER.fullmatch(name)), default=0) + 1
    if version > _INT64_MAX:
        raise PublishError(
            f"{base} holds version {version - 1}, and TensorFlow Serving knows no higher one. "
            "Remove it, or use another model_name."
        )
    return max(version, 1)


def _commit(commits: str, published: Published, files: dict[str, tuple[int, str]]) -> None:
    """Records what was published; the number stays taken when the version is deleted."""
    os.makedirs(commits, exist_ok=True)
    record = {
        "version": published.version,
        "published_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "files": {path: {"bytes": size, "sha256": sha} for path, (size, sha) in files.items()},
    }
    temporary = os.path.join(commits, f".{uuid.uuid4().hex}")
    with open(temporary, "w") as file:
        json.dump(record, file, indent=1, sort_keys=True)
    _sync(temporary)
    os.replace(temporary, os.path.join(commits, f"{published.version}.json"))
    _sync(commits)


def _sync(path: str) -> None:
    """Puts a file or directory on the disk, so that a power cut cannot undo the order."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
