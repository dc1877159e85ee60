"""Putting a finished model directory where it was asked for."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Sequence

import tensorflow as tf

from tfx_shrink import lineage
from tfx_shrink.errors import ParameterError, PublishError
from tfx_shrink.model_files import SAVED_MODEL, TFLITE_FILES

# A directory is a model from the moment it holds one of these, so they are written last.
_SENTINELS = (*TFLITE_FILES, SAVED_MODEL)


def require_new(out_dir: str, outside: Sequence[str] = ()) -> None:
    """Checks that a directory can be made, and leaves nothing there.

    Args:
      out_dir: The directory.
      outside: Models that stay as they are, so it may not lie in them. Defaults to none.

    Raises:
      ParameterError: It exists and is not empty, or lies in a model.
      PublishError: It cannot be written.
    """
    for model_dir in outside:
        if os.path.abspath(out_dir).startswith(os.path.join(os.path.abspath(model_dir), "")):
            raise ParameterError(
                f"{out_dir} lies inside {model_dir}, which is not changed. Give another directory."
            )
    if tf.io.gfile.exists(out_dir) and (
        not tf.io.gfile.isdir(out_dir) or tf.io.gfile.listdir(out_dir)
    ):
        raise ParameterError(
            f"{out_dir} exists and is not an empty directory. Nothing is overwritten: give another "
            "one, or remove it first."
        )
    if _is_local(out_dir):
        require_writable(out_dir, out_dir)


def require_writable(path: str, called: str) -> None:
    """Checks that something can be written at a local path, and leaves nothing there.

    Args:
      path: A directory that may not exist yet.
      called: What the error message calls it.

    Raises:
      PublishError: It cannot; the text says why.
    """
    existing = os.path.abspath(path)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    if not os.path.isdir(existing):
        raise PublishError(
            f"Cannot write to {called}: {existing} is not a directory. "
            "Give one that this user can write to."
        )
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".tfx-shrink-", dir=existing))
    except OSError as error:
        raise PublishError(
            f"Cannot write to {called}: {error}. Give a directory that this user can write to."
        ) from error


def deliver(source_dir: str, out_dir: str) -> None:
    """Copies a finished directory: whole by one rename on a local disk, elsewhere sentinels last.

    Args:
      source_dir: The local directory.
      out_dir: Where to; it does not exist or is empty.

    Raises:
      PublishError: It cannot be written.
    """
    try:
        if _is_local(out_dir):
            _rename(source_dir, os.path.abspath(out_dir))
        else:
            _copy(source_dir, out_dir)
    except (OSError, tf.errors.OpError) as error:
        raise PublishError(
            f"Cannot write {out_dir}: {error}. Check its permissions and the room on it."
        ) from error


def _is_local(path: str) -> bool:
    return "://" not in path


def _rename(source_dir: str, out_dir: str) -> None:
    beside = f"{out_dir}.{uuid.uuid4().hex}"
    os.makedirs(os.path.dirname(out_dir), exist_ok=True)
    try:
        shutil.copytree(source_dir, beside)
        os.rename(beside, out_dir)  # In the place of an empty directory, if there is one.
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _copy(source_dir: str, out_dir: str) -> None:
    for path in sorted(lineage.file_digests(source_dir), key=lambda path: path in _SENTINELS):
        target = os.path.join(out_dir, path)
        tf.io.gfile.makedirs(os.path.dirname(target))
        tf.io.gfile.copy(os.path.join(source_dir, path), target)
