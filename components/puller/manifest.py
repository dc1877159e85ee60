"""What a version holds, checked before a byte of it is fetched."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from tfx_shrink.bucket_pusher.content import Content, digest_of
from tfx_shrink.errors import DamagedError

_REMEDY = "Push the model again."
_SHA256 = re.compile(r"[0-9a-f]{64}")


def checked_content(record: Mapping[str, Any], called: str) -> Content:
    """Reads the manifest of a version and refuses one that may not be followed.

    Args:
      record: The commit record.
      called: What errors call the version.

    Returns:
      The content that it names.

    Raises:
      DamagedError: It is no manifest, names a file outside the version's directory, names no
        model, or is not the one that its publisher wrote.
    """
    try:
        content = Content.from_json(record)
        files = [*content.files.values(), *content.in_store.values()]
        digests = [_SHA256.fullmatch(file.sha256) for file in files]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            f"{called} has a manifest that cannot be read: {error!r}. {_REMEDY}"
        ) from error
    outside = sorted(path for path in content.files if not _stays_inside(path))
    if outside:
        raise DamagedError(
            f"The manifest of {called} names {outside}, which does not lie inside the version's "
            "directory. Nothing of it is fetched. Somebody wrote it on purpose: look who may write "
            "to the bucket."
        )
    both = {str(parent) for path in content.files for parent in PurePosixPath(path).parents}
    if both & set(content.files):
        raise DamagedError(
            f"The manifest of {called} names {sorted(both & set(content.files))} as files and as "
            f"directories. {_REMEDY}"
        )
    sizes = [file.bytes for file in files]
    if not all(digests) or not all(type(size) is int and size >= 0 for size in sizes):
        raise DamagedError(f"The manifest of {called} holds sizes or sums that are none. {_REMEDY}")
    if not content.sentinel:
        raise DamagedError(
            f"{called} is no model: its manifest names {sorted(content.files)}. {_REMEDY}"
        )
    if set(content.in_store) != set(content.files):
        raise DamagedError(
            f"The manifest of {called} does not say how each file is stored. {_REMEDY}"
        )
    if digest_of(content.files) != content.digest:
        raise DamagedError(
            f"The manifest of {called} was changed: its digest is another one. {_REMEDY}"
        )
    return content


def _stays_inside(path: str) -> bool:
    """Whether a manifest's path is one that a publisher writes: relative, plain segments."""
    return not {"", ".", ".."} & set(path.split("/")) and not {"\\", "\0"} & set(path)
