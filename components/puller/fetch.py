"""Downloads the files of one version, each verified while it arrives."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import BinaryIO

from zstandard import ZstdError

from tfx_shrink.bucket_pusher.content import FILES_AT_ONCE, Content, File
from tfx_shrink.bucket_pusher.local_store import sync
from tfx_shrink.bucket_pusher.packing import unpacked
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.errors import DamagedError, PullError


class StoppedError(PullError):
    """The process is about to end."""


def fetch(
    store: Store,
    content: Content,
    prefix: str,
    directory: str,
    *,
    moved: Callable[[int], None],
    stopped: Callable[[], bool],
) -> None:
    """Downloads a version's files in parallel and compares every byte with its manifest.

    Each file is on the disk before this returns, so that a rename that follows cannot be kept by a
    power cut that loses what it names.

    Args:
      store: The bucket.
      content: From `checked_content`.
      prefix: What the keys of the version's files begin with.
      directory: Where to; a new local directory.
      moved: Called with the bytes of every piece that arrived.
      stopped: Whether to give up.

    Raises:
      DamagedError: A file is not what the manifest says.
      PublishError: The bucket cannot be read, or a file is gone.
      StoppedError: `stopped` says so.
      OSError: The disk is full, or cannot be written.
    """
    giving_up = threading.Event()

    def arriving(name: str, arrived: "_Sum") -> Generator[bytes, None, None]:
        with contextlib.closing(store.stream(prefix + name)) as pieces:
            for piece in pieces:
                if giving_up.is_set() or stopped():
                    raise StoppedError(f"{store.url}/{prefix} is not fetched to its end.")
                moved(len(piece))
                arrived.add(piece)
                if arrived.bytes > content.in_store[name].bytes:
                    return  # It is damaged, however long it goes on.
                yield piece

    def download(name: str) -> None:
        path = os.path.join(directory, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        arrived, restored = _Sum(), _Sum()
        with contextlib.closing(arriving(name, arrived)) as pieces, open(path, "xb") as local:
            if content.stored is None:
                local.writelines(pieces)
            else:
                _restore(pieces, local, restored, content.files[name])
            local.flush()
            os.fsync(local.fileno())
        good = arrived.is_of(content.in_store[name])
        if not good or (content.stored is not None and not restored.is_of(content.files[name])):
            raise DamagedError(
                f"{store.url}/{prefix}{name} is not what was published. `tfx-shrink verify` says "
                "which files differ; push the model again."
            )

    names = [*content.body, content.sentinel]
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        futures = [threads.submit(download, name) for name in names]
        done, others = wait(futures, return_when=FIRST_EXCEPTION)
        giving_up.set()
        for future in others:
            future.cancel()
    for future in done:
        future.result()
    for parent, _, _ in os.walk(directory):
        sync(parent)


class _Sum:
    """Size and sha256 of what passes."""

    def __init__(self) -> None:
        self.bytes, self._digest = 0, hashlib.sha256()

    def add(self, piece: bytes) -> None:
        self.bytes += len(piece)
        self._digest.update(piece)

    def is_of(self, file: File) -> bool:
        return self.bytes == file.bytes and self._digest.hexdigest() == file.sha256


def _restore(pieces: Iterator[bytes], local: BinaryIO, restored: _Sum, file: File) -> None:
    """Writes what was compressed, but never more than the manifest says."""
    with contextlib.suppress(ZstdError):  # Then the sums differ.
        for piece in unpacked(pieces):
            restored.add(piece)
            if restored.bytes > file.bytes:
                return
            local.write(piece)
    for _ in pieces:
        pass  # What follows the compressed file is part of its sum.
