"""One push, step by step: claim, upload, verify, sentinel, commit record, pointer."""

import contextlib
import dataclasses
import datetime
import logging
import os
import uuid
from collections.abc import Mapping

from tfx_shrink.bucket_pusher import numbering, pinning, transfer
from tfx_shrink.bucket_pusher.books import Books, Listing, encode
from tfx_shrink.bucket_pusher.content import WARMUP_REQUESTS, Content
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.overtaken import Overtaken
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.errors import PublishError

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Published:
    """A version that a server can load.

    Attributes:
      version: Its number.
      url: Where it lies, written as the destination was given.
      path: Where it lies: an absolute local path, or the URL.
      bytes: Sum of the sizes of its files.
      new: Whether this push made the version; False where its content was there already.
      digest: The content's name, without `assets.extra/`.
    """

    version: int
    url: str
    path: str
    bytes: int
    new: bool = True
    digest: str = ""


@dataclasses.dataclass
class Push:
    """One push: what, where to and how; the arguments of `publish`, checked."""

    store: Store
    destination: Destination
    content: Content
    mode: str
    label: str
    versioning: str | int
    run: Mapping[str, str] | None = None
    settle_seconds: float | None = None
    republished_from: int | None = None

    def __post_init__(self) -> None:
        self.books = Books(self.store, self.destination.model_name)

    def attempt(self) -> Published:
        """Publishes, or finds the content published.

        Raises:
          Overtaken: Begin again.
          PublishError: The store refuses, or a file arrived changed.
        """
        seen = self.books.look()
        same = self._same(seen)
        try:
            return self._publish(seen, same)
        except PublishError:
            # Where another push of the same content was faster, its staging area is gone.
            with contextlib.suppress(PublishError):
                if self._same(self.books.look()) != same:
                    raise Overtaken from None
            raise

    def _publish(self, seen: Listing, same: int | None) -> Published:
        if same is not None and (self.mode == "pinned" or same == max(seen.files)):
            self._say_what_is_left_out(same)
            return self._finish(same, new=False)
        if same is not None and not self.store.renames:
            source = self.books.version(same)
            with contextlib.suppress(transfer.ChangedError):  # Then it is uploaded again.
                transfer.require_arrived(self.store, self.content, list(self.content.files), source)
                return self._by_copy(source)
        if self.store.renames:
            return self._by_rename()
        if self.store.listed_by_serving and self.mode == "latest":
            return self._by_copy()
        return self._in_place(seen)

    def republish(self, number: int) -> Published:
        """Makes what lies under an old number a new version, without a copy on this machine."""
        source = self.books.version(number)
        transfer.require_arrived(self.store, self.content, list(self.content.files), source)
        if self.store.renames:
            return self._by_rename(source)
        return self._by_copy(source)

    def _same(self, seen: Listing) -> int | None:
        """The highest complete version that holds the content and is not about to be removed."""
        for number in reversed(seen.complete):
            record = self.books.record(number)
            if record is not None and record.get("digest") == self.content.digest:
                claim = self.books.claim(number)
                if claim is not None and claim.state == "sealed":
                    return number
        return None

    def _say_what_is_left_out(self, number: int) -> None:
        if WARMUP_REQUESTS not in self.content.files:
            return
        record = self.books.record(number)
        if record is not None and WARMUP_REQUESTS not in record["files"]:
            _log.warning(
                "Version %d of %s holds this model already, without warm-up requests, and is not "
                "pushed again.",
                number,
                self.destination.model_name,
            )

    def _by_rename(self, source: str | None = None) -> Published:
        names = list(self.content.files)
        staging = f"{self.books.area}staging/{uuid.uuid4().hex}/"
        try:
            if source is None:
                transfer.upload(self.store, self.content, names, staging)
            else:
                transfer.copy_inside(self.store, self.content, names, source, staging)
            number = self._explicit_and_dead() or self._claim()
            self._seal(number)
            self.store.rename(staging, self.books.version(number))
        except Exception:
            with contextlib.suppress(PublishError):
                self.store.delete([staging])
            raise
        return self._finish(number, new=True)

    def _by_copy(self, source: str | None = None) -> Published:
        """Staged where no server looks, then copied by the store: seconds instead of minutes."""
        names = self.content.body
        staging = source or f"{self.books.area}staging/{self.content.staging_name}/"
        if source is None:
            transfer.upload(self.store, self.content, names, staging)
        number = self._claim()
        target = self.books.version(number)
        try:
            transfer.copy_inside(self.store, self.content, names, staging, target)
            self._seal(number)
        except PublishError:
            self._abandon(number)
            raise
        self._write_sentinel(target, source)
        published = self._finish(number, new=True)
        if source is None:
            with contextlib.suppress(PublishError):  # `retain` finds it, too.
                self.store.delete([staging + name for name in names])
        return published

    def _in_place(self, seen: Listing) -> Published:
        """Straight to the version's place, which nobody loads before it is complete."""
        number = self._resumable(seen) or self._claim()
        target = self.books.version(number)
        transfer.upload(self.store, self.content, self.content.body, target)
        self._seal(number)
        self._write_sentinel(target)
        return self._finish(number, new=True)

    def _explicit_and_dead(self) -> int | None:
        """An explicit number that a push of the same content took, and died before it was seen."""
        if not isinstance(self.versioning, int):
            return None
        number = self._resumable(self.books.look())
        return None if number is None or self.store.list(self.books.version(number)) else number

    def _resumable(self, seen: Listing) -> int | None:
        """The number of a push of the same content that died, if it is still the highest."""
        number = max(seen.claims, default=0)
        if not number or number < max(seen.taken) or number in seen.complete:
            return None
        if isinstance(self.versioning, int) and self.versioning != number:
            return None
        claim = self.books.claim(number)
        if claim is None or claim.state not in ("claimed", "sealed"):
            return None
        known = {kind: claim.record.get(kind) for kind in ("files", "stored")}
        wanted = {"stored": None, **self.content.manifest()}
        return number if known == wanted else None

    def _claim(self) -> int:
        taken = self.books.taken()
        url = f"{self.destination.url}/{self.destination.model_name}"
        while True:
            number = numbering.next_version(self.versioning, taken, url)
            record = {
                **self.content.to_json(),
                "version": number,
                "state": "claimed",
                "owner": uuid.uuid4().hex,  # Makes every claim another one.
                "claimed_at": _now(),
                "run": dict(self.run or {}),
                "republished_from": self.republished_from,
            }
            if self.store.create(self.books.claim_key(number), encode(record)):
                return number
            taken = {*self.books.taken(), number}

    def _seal(self, number: int) -> None:
        """Says that the files were verified; from here on nobody else may remove them."""
        claim = self.books.claim(number)
        if claim is not None and claim.state == "sealed":
            return  # A push of the same content, at the same time, has come as far.
        if (
            claim is None
            or claim.state != "claimed"
            or not self.books.set_state(number, claim, "sealed")
        ):
            raise Overtaken

    def _write_sentinel(self, target: str, source: str | None = None) -> None:
        name = self.content.sentinel
        if self.content.directory:
            with open(self.content.path(name), "rb") as file:
                data = file.read()
        else:
            data = b"".join(self.store.stream(f"{source}{name}"))
        if not self.store.create(target + name, data):
            raise PublishError(
                f"{self.store.url}/{target}{name} was written by somebody else, with other "
                "content. Nothing of this push is served; push again."
            )

    def _abandon(self, number: int) -> None:
        """Gives a number up that was visible; a server may remember it as broken."""
        with contextlib.suppress(PublishError):
            claim = self.books.claim(number)
            if claim is not None and self.books.set_state(number, claim, "abandoned"):
                entries = self.store.list(self.books.version(number))
                transfer.delete_version(self.store, entries)

    def _finish(self, number: int, *, new: bool) -> Published:
        """Writes the commit record and the pointer, where they are not written yet."""
        # A server sees it from now on, so a failed execution must not own it; the claim says the
        # same as the commit record, and the next push writes that.
        with contextlib.suppress(PublishError):
            record = self.books.record(number)
            if record is not None and "published_at" not in record:
                self.books.commit(number, {**record, "published_at": _now()})
        if self.mode == "pinned":
            pinning.point_to(self.books, self.destination, self.label, number, self.settle_seconds)
        url = self.destination.version_url(number)
        path = os.path.join(self.destination.served_path, str(number))
        return Published(number, url, path, self.content.bytes, new, self.content.digest)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat()
