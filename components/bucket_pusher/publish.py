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
from tfx_shrink.delivery import require_writable
from tfx_shrink.errors import ModelError, PublishError

_INT64_MAX = 2**63 - 1
# What TensorFlow Serving takes for a version: absl::SimpleAtoi accepts it
# (tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc).
_NUMBER = re.compile(r"\s*[+-]?\d+\s*")
_FAILURES = (OSError, tf.errors.OpError)


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
    base = os.path.join(destination.path, destination.model_name)
    books = os.path.join(destination.path, "_tfx", destination.model_name)
    try:
        files = _files_to_publish(model_dir)
        with _staging(os.path.join(books, "staging")) as staged:
            _copy(model_dir, files, staged)
            os.makedirs(base, exist_ok=True)
            version = _rename_to_next(staged, base, os.path.join(books, "claims"), files)
    except _FAILURES as error:
        raise PublishError(
            f"Cannot publish {model_dir} to {destination.url}: {error}. Check that the model can "
            "be read, that the destination exists or can be made and is writable for this user, "
            "and that its disk is not full."
        ) from error
    with contextlib.suppress(OSError):
        _sync(base)  # The version is visible: nothing that fails now may say otherwise.
    return Published(
        version=version,
        url=destination.version_url(version),
        path=os.path.join(base, str(version)),
        bytes=sum(size for size, _ in files.values()),
    )


def check_writable(destination: Destination) -> None:
    """Checks that something can be written at the root, and leaves nothing there.

    Raises:
      PublishError: It cannot; the text says why.
    """
    require_writable(destination.path, destination.url)


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


def _rename_to_next(staged: str, base: str, claims: str, files: dict[str, tuple[int, str]]) -> int:
    """Claims the next number, then makes the staged files that version by one rename."""
    os.makedirs(claims, exist_ok=True)
    while True:
        version = _next_version(base, claims)
        if not _claim(os.path.join(claims, f"{version}.json"), version, files):
            continue  # Another publisher was faster.
        target = os.path.join(base, str(version))
        try:
            os.rename(staged, target)
        except OSError:
            # A network file system may report an error for a rename that took place.
            if os.path.lexists(staged) or not os.path.lexists(target):
                raise
        return version


def _next_version(base: str, claims: str) -> int:
    names = os.listdir(base) + [name.removesuffix(".json") for name in os.listdir(claims)]
    numbers = [int(name) for name in names if _NUMBER.fullmatch(name)]
    # TensorFlow Serving ignores what does not fit into an int64.
    version = max((number for number in numbers if number <= _INT64_MAX), default=0) + 1
    if version > _INT64_MAX:
        raise PublishError(
            f"{base} holds version {_INT64_MAX}, and TensorFlow Serving knows no higher one. "
            "Remove it, or use another model_name."
        )
    return max(version, 1)


def _claim(path: str, version: int, files: dict[str, tuple[int, str]]) -> bool:
    """Takes a number for ever, with a record of what is published under it."""
    record = {
        "version": version,
        "claimed_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "files": {name: {"bytes": size, "sha256": sha} for name, (size, sha) in files.items()},
    }
    try:
        with open(path, "x") as file:
            json.dump(record, file, indent=1, sort_keys=True)
    except FileExistsError:
        return False
    _sync(path)
    _sync(os.path.dirname(path))
    return True


def _sync(path: str) -> None:
    """Puts a file or directory on the disk, so that a power cut cannot undo the order."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
