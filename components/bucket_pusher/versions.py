"""What lies in a bucket, and whether it is still what was published."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfx_shrink.bucket_pusher import models_config, transfer
from tfx_shrink.bucket_pusher.books import Books, Listing
from tfx_shrink.bucket_pusher.content import Content
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of a model.

    Attributes:
      version: Its number.
      state: `complete`; `incomplete`, while it is written or when its push died; `foreign`, if
        another tool wrote it.
      bytes: Sum of the sizes of its files.
      files: How many they are.
      labels: What models.config calls it.
      digest: The content's name; empty where it is not known.
      published_at: When, in UTC; empty where it is not known.
      run: The pipeline and the run that it came from.
    """

    version: int
    state: str
    bytes: int
    files: int
    labels: tuple[str, ...] = ()
    digest: str = ""
    published_at: str = ""
    run: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Verified:
    """What reading a version back showed.

    Attributes:
      version: Its number.
      files: How many files were read.
      bytes: How many bytes.
      problems: A sentence for each file that is not as it was published.
    """

    version: int
    files: int
    bytes: int
    problems: tuple[str, ...]


def versions(destination: Destination, *, store: Store | None = None) -> list[Version]:
    """Lists a model's versions, the highest first.

    Args:
      destination: From `parse_destination`.
      store: Its store. Defaults to the one that its URL names.

    Returns:
      Every version that holds a file.

    Raises:
      PublishError: The destination cannot be used.
    """
    store = store or open_store(destination)
    books = Books(store, destination.model_name)
    seen = books.look()
    labels, _ = models_config.read_pins(store, destination.model_name)
    return [_version(books, seen, labels, number) for number in sorted(seen.files, reverse=True)]


def verify(
    destination: Destination, version: int | None = None, *, store: Store | None = None
) -> list[Verified]:
    """Reads versions back and compares every byte with the manifest of their push.

    Args:
      destination: From `parse_destination`.
      version: Which. Defaults to None: those that servers load, the highest and what
        models.config names.
      store: Its store. Defaults to the one that its URL names.

    Returns:
      What was found, version by version.

    Raises:
      ParameterError: There is no such version, or no manifest of it.
      PublishError: The destination cannot be used.
    """
    store = store or open_store(destination)
    books = Books(store, destination.model_name)
    seen = books.look()
    if version is None:
        _, pinned = models_config.read_pins(store, destination.model_name)
        wanted = sorted({*pinned, *seen.complete[-1:]})
    else:
        wanted = [version]
    if not wanted:
        raise ParameterError(f"{destination.url}/{destination.model_name} holds no version.")
    return [_verify(books, number) for number in wanted]


def _verify(books: Books, number: int) -> Verified:
    record = books.record(number)
    if record is None:
        raise ParameterError(
            f"There is no manifest of version {number} at {books.store.url}/{books.base}. Give a "
            "version that `tfx-shrink versions` lists as complete."
        )
    content = Content.from_json(record)
    prefix = books.version(number)
    there = {entry.key[len(prefix) :]: entry for entry in books.store.list(prefix)}

    def problem(name: str) -> str:
        if name not in content.files:
            return f"{prefix}{name} does not belong to the version."
        if name not in there:
            return f"{prefix}{name} is missing."
        if not transfer.holds(books.store, there[name], content.in_store[name]):
            return f"{prefix}{name} has changed since it was published."
        return ""

    problems = transfer.in_parallel(problem, sorted({*there, *content.files}))
    return Verified(
        number, len(content.files), content.bytes, tuple(text for text in problems if text)
    )


def _version(books: Books, seen: Listing, labels: Mapping[str, int], number: int) -> Version:
    record: Mapping[str, Any] = books.record(number) or {}
    state = "incomplete"
    if number in seen.complete:
        state = "complete" if record else "foreign"
    entries = seen.files[number]
    return Version(
        number,
        state,
        sum(entry.size for entry in entries),
        len(entries),
        tuple(sorted(label for label, named in labels.items() if named == number)),
        record.get("digest", ""),
        record.get("published_at", ""),
        record.get("run", {}),
    )
