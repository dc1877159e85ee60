"""What publishing needs of a place where models are kept, and nothing more."""

import dataclasses
import datetime
from collections.abc import Generator, Sequence
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Entry:
    """One object of a listing.

    Attributes:
      key: Its key below the root.
      size: Its bytes.
      etag: What the store calls this content of it; empty where the store has no such name.
      modified: When it was written, by the store's clock.
    """

    key: str
    size: int
    etag: str
    modified: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Found:
    """A small object, read whole; `etag` names this content of it for `Store.replace`."""

    data: bytes
    etag: str


class Store(Protocol):
    """Objects by key below one root. Every method raises PublishError with a remedy.

    Attributes:
      url: The root as the user gave it.
      renames: Whether `rename` moves a whole directory at once.
      listed_by_serving: Whether TensorFlow Serving itself lists this store.
    """

    url: str
    renames: bool
    listed_by_serving: bool

    def read(self, key: str) -> Found | None:
        """Returns a small object, or None where there is none."""

    def stream(self, key: str) -> Generator[bytes, None, None]:
        """Yields an object's content piece by piece; close it where it is not read to its end."""

    def list(self, prefix: str) -> Sequence[Entry]:
        """Returns every object whose key begins with `prefix`, which ends in a slash."""

    def children(self, prefix: str) -> Sequence[str]:
        """Returns the names right below `prefix`, objects and directories."""

    def create(self, key: str, data: bytes) -> bool:
        """Writes an object where there is none; False where another one is.

        In a bucket it appears whole, and an equal object counts as written: a request whose answer
        was lost is sent again. A file may be seen while it is written.
        """

    def replace(self, key: str, data: bytes, etag: str | None) -> bool:
        """Writes an object at once if it still is as `etag` says; None: if there is none."""

    def upload(self, key: str, path: str) -> None:
        """Writes a local file to a key that nobody else writes other content to."""

    def copy(self, source: str, target: str) -> None:
        """Copies one object inside the store."""

    def rename(self, source: str, target: str) -> None:
        """Moves a whole directory at once; only where `renames`."""

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; those that are gone already are no error.

        Where the store `renames`, a key that ends in a slash is a directory with all that it holds.
        """

    def etag_of(self, path: str) -> str | None:
        """Returns the ETag of a local file's content after `upload`, or None if it says nothing."""
