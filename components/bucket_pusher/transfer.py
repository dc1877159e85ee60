"""Moves the files of one version, and looks whether they arrived."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tfx_shrink.bucket_pusher.content import FILES_AT_ONCE, SENTINELS, Content, File
from tfx_shrink.bucket_pusher.store import Entry, Store
from tfx_shrink.errors import PublishError

_Result = TypeVar("_Result")


class ChangedError(PublishError):
    """What lies in the store is not what it should be; the text names the files."""


def upload(store: Store, content: Content, names: list[str], prefix: str) -> None:
    """Uploads files in parallel, without those that are there already, and verifies all of them.

    Args:
      store: Where to.
      content: What; its directory holds the files.
      names: Which of its files, in the order to begin with them.
      prefix: What the keys begin with.

    Raises:
      PublishError: The store refuses, or a file arrived changed.
    """
    there = _listed(store, prefix)

    def send(name: str) -> None:
        entry = there.get(name)
        if entry is None or not holds(store, entry, content.in_store[name], content.path(name)):
            store.upload(prefix + name, content.path(name))

    in_parallel(send, names)
    require_arrived(store, content, names, prefix)


def require_arrived(store: Store, content: Content, names: list[str], prefix: str) -> None:
    """Lists what arrived and compares sizes and checksums with the source.

    Args:
      store: The bucket.
      content: The source.
      names: Those of its files that must be there, and no others.
      prefix: Below which they lie.

    Raises:
      ChangedError: A file is missing, changed, or too many.
    """
    there = _listed(store, prefix)

    def is_changed(name: str) -> bool:
        entry, file = there.get(name), content.in_store[name]
        return entry is None or not holds(
            store, entry, file, content.path(name) if content.directory else ""
        )

    changed = [name for name, bad in zip(names, in_parallel(is_changed, names), strict=True) if bad]
    # A push of the same content, at the same time, may have come as far as the sentinel.
    changed += sorted(set(there) - set(names) - {content.sentinel})
    if changed:
        raise ChangedError(
            f"{sorted(changed)} changed on the way to {store.url}/{prefix}, or since then. Nothing "
            "of this push is served; push again."
        )


def copy_inside(store: Store, content: Content, names: list[str], source: str, target: str) -> None:
    """Has the store copy files by itself, in parallel, and compares the sizes.

    Args:
      store: The bucket.
      content: What the files hold.
      names: Which of its files.
      source: The prefix below which they lie.
      target: The prefix below which they shall lie too.

    Raises:
      PublishError: The store refuses, or a copy is not there.
    """
    in_parallel(lambda name: store.copy(source + name, target + name), names)
    sizes = {name: entry.size for name, entry in _listed(store, target).items()}
    wanted = {name: content.in_store[name].bytes for name in names}
    if sizes != wanted:
        wrong = sorted(name for name in {*sizes, *wanted} if sizes.get(name) != wanted.get(name))
        raise PublishError(
            f"{wrong} did not arrive when {store.url} copied {source} to {target}. Push again."
        )


def holds(store: Store, entry: Entry, file: File, path: str = "") -> bool:
    """Whether an object has a file's content.

    The store's own ETag may prove it, if it is the MD5 of the content; where it does not, the
    object is read back.

    Args:
      store: The store.
      entry: The object.
      file: The content.
      path: The same content on this machine, or empty: the object is always read back.
    """
    if entry.size != file.bytes:
        return False
    expected = store.etag_of(path) if path else None
    if expected is not None and entry.etag == expected:
        return True
    digest = hashlib.sha256()
    for chunk in store.stream(entry.key):
        digest.update(chunk)
    return digest.hexdigest() == file.sha256


def delete_version(store: Store, entries: Iterable[Entry]) -> None:
    """Deletes objects, those first that make a version a model to a server."""
    keys = [entry.key for entry in entries]
    first = [key for key in keys if key.rpartition("/")[2] in SENTINELS and key.count("/") == 2]
    for key in first:
        store.delete([key])
    rest = sorted(set(keys) - set(first))
    in_parallel(lambda key: store.delete([key]), rest)


def in_parallel(work: Callable[[str], _Result], names: Iterable[str]) -> list[_Result]:
    """Calls `work` with every name, a few at a time; returns what it returned, in order."""
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        return list(threads.map(work, names))


def _listed(store: Store, prefix: str) -> Mapping[str, Entry]:
    return {entry.key[len(prefix) :]: entry for entry in store.list(prefix)}
