"""Buckets of S3, Google Cloud and Azure, and memory, through obstore."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.refusals import MISSING, explain, no_bucket
from tfx_shrink.bucket_pusher.store import Entry, Found
from tfx_shrink.errors import PublishError

# With eight files at a time (content.py) at most 256 MB are on their way.
CHUNK = 8 << 20
_PARTS_AT_ONCE = 4

# Two threads in obstore's MemoryStore can wait for each other: one holds its lock and frees a
# Python object, for which it needs the interpreter's lock, which the other holds.
_MEMORY = threading.RLock()


class ObjectStore:
    """One bucket's objects below a prefix.

    Args:
      store: An obstore store, rooted at the bucket.
      destination: Where the root is.
      listed_by_serving: Whether TensorFlow Serving lists it.
      md5_etags: Whether its ETags are MD5 sums where nothing encrypts them otherwise.
    """

    renames = False

    def __init__(
        self, store: Any, destination: Destination, *, listed_by_serving: bool, md5_etags: bool
    ):
        self._store, self._scheme = store, destination.scheme
        self._prefix = f"{destination.path}/" if destination.path else ""
        self.url = destination.url
        self.listed_by_serving = listed_by_serving
        self._md5_etags = md5_etags

    def read(self, key: str) -> Found | None:
        """See `Store`."""
        with self._errors():
            try:
                answer = obstore.get(self._store, self._prefix + key)
                return Found(bytes(answer.bytes()), _version_of(answer.meta))
            except MISSING as error:
                if no_bucket(error):
                    raise
                return None

    def stream(self, key: str) -> Generator[bytes, None, None]:
        """See `Store`."""
        with self._errors():
            for chunk in obstore.get(self._store, self._prefix + key).stream(
                min_chunk_size=1 << 20
            ):
                yield bytes(chunk)

    def list(self, prefix: str) -> Sequence[Entry]:
        """See `Store`."""
        with self._errors():
            found = obstore.list(self._store, self._prefix + prefix.rstrip("/")).collect()
        return sorted((self._entry(meta) for meta in found), key=lambda entry: entry.key)

    def children(self, prefix: str) -> Sequence[str]:
        """See `Store`."""
        with self._errors():
            answer = obstore.list_with_delimiter(self._store, self._prefix + prefix.rstrip("/"))
        paths = [*answer["common_prefixes"], *(meta["path"] for meta in answer["objects"])]
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        return self._put_if(key, data, "create")

    def replace(self, key: str, data: bytes, etag: str | None) -> bool:
        """See `Store`."""
        if etag is None:
            return self._put_if(key, data, "create")
        name, _, generation = etag.partition("\n")
        known = {"e_tag": name, "version": generation}
        return self._put_if(key, data, {part: value for part, value in known.items() if value})

    def upload(self, key: str, path: str) -> None:
        """See `Store`: several parts at once where the file has more than one."""
        with self._errors():
            obstore.put(
                self._store,
                self._prefix + key,
                Path(path),
                use_multipart=os.path.getsize(path) > CHUNK,
                chunk_size=CHUNK,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def copy(self, source: str, target: str) -> None:
        """See `Store`: the store copies by itself."""
        with self._errors():
            obstore.copy(self._store, self._prefix + source, self._prefix + target)

    def rename(self, source: str, target: str) -> None:
        """Not in a bucket."""
        raise NotImplementedError(f"{self.url} renames no directories.")

    def delete(self, keys: Sequence[str]) -> None:
        """See `Store`."""
        with self._errors():
            for key in keys:
                with contextlib.suppress(*MISSING):
                    obstore.delete(self._store, self._prefix + key)

    def etag_of(self, path: str) -> str | None:
        """See `Store`: S3's rule, the MD5 of the content or of its parts' MD5 sums."""
        if not self._md5_etags:
            return None
        parts = []
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK):
                parts.append(hashlib.md5(chunk, usedforsecurity=False).digest())
        if len(parts) <= 1:
            only = parts[0] if parts else hashlib.md5(b"", usedforsecurity=False).digest()
            return f'"{only.hex()}"'
        return f'"{hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"'

    def _put_if(self, key: str, data: bytes, mode: Any) -> bool:
        with self._errors():
            try:
                obstore.put(self._store, self._prefix + key, data, mode=mode)
                return True
            except (AlreadyExistsError, PreconditionError, *MISSING) as error:
                if no_bucket(error):
                    raise
        found = self.read(key)
        return found is not None and found.data == data

    def _entry(self, meta: Any) -> Entry:
        key = meta["path"].removeprefix(self._prefix)
        return Entry(key, meta["size"], meta["e_tag"] or "", meta["last_modified"])

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with _MEMORY if self._scheme == "memory://" else contextlib.nullcontext():
                yield
        except (BaseError, OSError, ValueError) as error:
            # Without its cause, whose text may hold what a signed request was sent with.
            raise PublishError(explain(error, self.url, self._scheme)) from None


def _version_of(meta: Any) -> str:
    return f"{meta['e_tag'] or ''}\n{meta['version'] or ''}"
