"""A local or mounted directory as a store; a whole version moves by one rename."""

import contextlib
import datetime
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Generator, Iterator, Sequence

from tfx_shrink.bucket_pusher.store import Entry, Found
from tfx_shrink.errors import PublishError

WRITING = "_tfx/.writing/files/"
_CHUNK = 1 << 20
_AREA_DEPTH = 3  # `_tfx/<model>/<area>` stays when it is empty; others may be using it.


class LocalStore:
    """Files below a directory, each of them on the disk before the call returns.

    Args:
      path: The root; it need not exist yet.
      url: What errors call it.
    """

    renames = True
    listed_by_serving = True

    def __init__(self, path: str, url: str):
        self._root, self.url = path, url

    def read(self, key: str) -> Found | None:
        """See `Store`."""
        with self._errors():
            try:
                with open(self._path(key), "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                return None
        return Found(data, hashlib.sha256(data).hexdigest())

    def stream(self, key: str) -> Generator[bytes, None, None]:
        """See `Store`."""
        with self._errors(), open(self._path(key), "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def list(self, prefix: str) -> Sequence[Entry]:
        """See `Store`."""
        found = []
        with self._errors():
            for directory, _, names in os.walk(self._path(prefix)):
                for name in names:
                    path = os.path.join(directory, name)
                    with contextlib.suppress(FileNotFoundError):  # Another publisher's, just gone.
                        found.append(self._entry(path))
        return sorted(found, key=lambda entry: entry.key)

    def children(self, prefix: str) -> Sequence[str]:
        """See `Store`."""
        with self._errors():
            try:
                return sorted(os.listdir(self._path(prefix)))
            except FileNotFoundError:
                return []

    def create(self, key: str, data: bytes) -> bool:
        """See `Store`."""
        path = self._path(key)
        with self._errors():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            try:
                with open(path, "xb") as file:
                    file.write(data)
            except FileExistsError:
                return False
            sync(path)
            sync(os.path.dirname(path))
        return True

    def replace(self, key: str, data: bytes, etag: str | None) -> bool:
        """See `Store`."""
        path = self._path(key)
        with self._errors(), self._lock():
            found = self.read(key)
            if (found.etag if found else None) != etag:
                return False
            os.makedirs(os.path.dirname(path), exist_ok=True)
            beside = self._path(f"{WRITING}{uuid.uuid4().hex}")
            os.makedirs(os.path.dirname(beside), exist_ok=True)
            try:
                with open(beside, "wb") as file:
                    file.write(data)
                sync(beside)
                os.replace(beside, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(beside)
            sync(os.path.dirname(path))
        return True

    def upload(self, key: str, path: str) -> None:
        """See `Store`."""
        target = self._path(key)
        with self._errors():
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
            sync(target)

    def copy(self, source: str, target: str) -> None:
        """See `Store`."""
        self.upload(target, self._path(source))

    def rename(self, source: str, target: str) -> None:
        """See `Store`."""
        old, new = self._path(source), self._path(target)
        with self._errors():
            os.makedirs(os.path.dirname(new), exist_ok=True)
            for directory, _, _ in os.walk(old):
                sync(directory)
            try:
                os.rename(old, new)
            except OSError:
                # A network file system may report an error for a rename that took place.
                if os.path.lexists(old) or not os.path.lexists(new):
                    raise
        with contextlib.suppress(OSError):
            sync(os.path.dirname(new))  # It is visible: nothing that fails now may say otherwise.

    def delete(self, keys: Sequence[str]) -> None:
        """See `Store`; directories that become empty go too."""
        with self._errors():
            for key in keys:
                path = self._path(key)
                with contextlib.suppress(FileNotFoundError):
                    shutil.rmtree(path) if key.endswith("/") else os.remove(path)
                self._prune(os.path.dirname(path))

    def etag_of(self, path: str) -> str | None:
        """See `Store`: every file is read back."""
        return None

    def _prune(self, directory: str) -> None:
        while True:
            parts = os.path.relpath(directory, self._root).split(os.sep)
            if len(parts) <= (_AREA_DEPTH if parts[0] == "_tfx" else 1):
                return
            try:
                os.rmdir(directory)
            except OSError:
                return
            directory = os.path.dirname(directory)

    def _entry(self, path: str) -> Entry:
        status = os.stat(path)
        modified = datetime.datetime.fromtimestamp(status.st_mtime, datetime.timezone.utc)
        key = os.path.relpath(path, self._root).replace(os.sep, "/")
        return Entry(key, status.st_size, "", modified)

    def _path(self, key: str) -> str:
        return os.path.join(self._root, *key.rstrip("/").split("/"))

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time, on one machine and on file systems that pass locks on."""
        path = self._path("_tfx/.lock")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PublishError(
                f"Cannot use {self.url}: {error}. Check that the destination exists or can be "
                "made, is a directory that this user can write to, and that its disk is not full."
            ) from error


def sync(path: str) -> None:
    """Puts a local file or directory on the disk, so that a power cut cannot undo the order."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
