"""Downloads the files of one version, each verified while it arrives."""

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from tfx_shrink.bucket_pusher.content import FILES_AT_ONCE, Content
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

    def download(name: str) -> None:
        path = os.path.join(directory, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file, size, digest = content.files[name], 0, hashlib.sha256()
        with open(path, "xb") as local:
            for piece in store.stream(prefix + name):
                if giving_up.is_set() or stopped():
                    raise StoppedError(f"{store.url}/{prefix} is not fetched to its end.")
                size += len(piece)
                moved(len(piece))
                if size > file.bytes:
                    break
                digest.update(piece)
                local.write(piece)
            local.flush()
            os.fsync(local.fileno())
        if size != file.bytes or digest.hexdigest() != file.sha256:
            raise DamagedError(
                f"{store.url}/{prefix}{name} is not what was published: {file.bytes:,} bytes with "
                f"sha256 {file.sha256[:12]}… were, {'more' if size > file.bytes else f'{size:,}'} "
                f"bytes with {digest.hexdigest()[:12]}… arrived. `tfx-shrink verify` says which "
                "files differ; push the model again."
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
        sync_directory(parent)


def sync_directory(path: str) -> None:
    """Puts a directory's entries on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
