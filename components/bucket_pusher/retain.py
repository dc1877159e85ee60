"""Removes old versions, and what dead pushes left."""

import dataclasses
import datetime
import uuid
from collections import defaultdict

from tfx_shrink.bucket_pusher import models_config, transfer
from tfx_shrink.bucket_pusher.books import Books, Claim, Listing
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.local_store import WRITING
from tfx_shrink.bucket_pusher.settings import check_keep
from tfx_shrink.bucket_pusher.store import Entry, Store
from tfx_shrink.bucket_pusher.stores import open_store

# A push that has written nothing for so long is taken for dead.
IN_FLIGHT_SECONDS = 24 * 3600.0


@dataclasses.dataclass(frozen=True)
class Retained:
    """What was kept and what was removed, or would be.

    Attributes:
      kept: Versions that stay.
      removed: Versions that go.
      leftovers: What dead pushes left: numbers, and directories of the staging area.
      dry_run: Whether nothing was removed.
    """

    kept: tuple[int, ...]
    removed: tuple[int, ...]
    leftovers: tuple[str, ...]
    dry_run: bool


def retain(
    destination: Destination,
    keep: int,
    *,
    dry_run: bool = False,
    in_flight_seconds: float = IN_FLIGHT_SECONDS,
    store: Store | None = None,
) -> Retained:
    """Keeps the newest versions and removes older ones, the sentinel first.

    The highest version, every version that models.config names, versions that another tool wrote,
    and pushes in flight are never removed. A number is not used again afterwards.

    Args:
      destination: From `parse_destination`.
      keep: How many of the highest versions stay, at least 1.
      dry_run: Whether to say only what would be removed. Defaults to False.
      in_flight_seconds: How long a push must have written nothing to be taken for dead. Defaults
        to a day.
      store: Its store. Defaults to the one that its URL names.

    Returns:
      What was kept and removed.

    Raises:
      ParameterError: `keep` is below 1.
      PublishError: The destination cannot be used.
    """
    check_keep(keep)
    store = store or open_store(destination)
    work = _Retention(store, Books(store, destination.model_name), in_flight_seconds, dry_run)
    return work.run(keep)


@dataclasses.dataclass
class _Retention:
    store: Store
    books: Books
    in_flight: float
    dry_run: bool

    def run(self, keep: int) -> Retained:
        seen = self.books.look()
        self._withdraw_announced(seen)
        _, pinned = models_config.read_pins(self.store, self.books.model_name)
        candidates = [number for number in seen.complete[:-keep] if number not in pinned]
        removed = [number for number in candidates if self._remove(seen, number, complete=True)]
        leftovers = [
            str(number)
            for number in sorted(set(seen.claims) - set(seen.complete))
            if self._remove(seen, number, complete=False)
        ]
        leftovers += self._sweep(f"{self.books.area}staging/")
        leftovers += self._sweep(WRITING)
        kept = tuple(number for number in seen.complete if number not in removed)
        return Retained(kept, tuple(removed), tuple(leftovers), self.dry_run)

    def _withdraw_announced(self, seen: Listing) -> None:
        """Takes versions out of models.config whose push died before it gave them a label."""
        labels, named = models_config.read_pins(self.store, self.books.model_name)
        announced = named - set(labels.values())
        dead = [
            number
            for number in announced & set(seen.claims)
            if seen.idle_seconds(number) >= self.in_flight
        ]
        if dead and not self.dry_run:
            models_config.withdraw(self.store, self.books.model_name, dead)

    def _remove(self, seen: Listing, number: int, *, complete: bool) -> bool:
        """Removes a version; False where it may not go, or is gone but for its number's claim."""
        claim = self.books.claim(number) if number in seen.claims else None
        if claim is None or not self._may_go(seen, number, claim, complete=complete):
            return False
        files = seen.files.get(number, [])
        something = bool(files) or number in seen.commits or claim.state in ("claimed", "sealed")
        last = number == max(seen.taken)
        if self.dry_run or (not something and last):
            return something
        if claim.state not in ("abandoned", "removed"):
            if not self.books.set_state(number, claim, "removed"):
                return False
            _, pinned = models_config.read_pins(self.store, self.books.model_name)
            if number in pinned:  # Somebody has just pointed to it.
                again = self.books.claim(number)
                if again is not None:
                    self.books.set_state(number, again, "sealed")
                return False
        self._delete_files(number)
        self.store.delete([self.books.commit_key(number)])
        if not last:
            self.store.delete([self.books.claim_key(number)])
        return something

    def _may_go(self, seen: Listing, number: int, claim: Claim, *, complete: bool) -> bool:
        if complete or claim.state in ("abandoned", "removed"):
            return True
        return seen.idle_seconds(number) >= self.in_flight

    def _delete_files(self, number: int) -> None:
        prefix = self.books.version(number)
        entries = self.store.list(prefix)
        if self.store.renames and entries:
            moved = f"{self.books.area}staging/removed-{number}-{uuid.uuid4().hex}/"
            self.store.rename(prefix, moved)
            entries = self.store.list(moved)
        transfer.delete_version(self.store, entries)

    def _sweep(self, area: str) -> list[str]:
        """Removes directories below an area that nobody has written to for long."""
        found: dict[str, list[Entry]] = defaultdict(list)
        for entry in self.store.list(area):
            found[entry.key[len(area) :].partition("/")[0]].append(entry)
        now, swept = datetime.datetime.now(datetime.timezone.utc), []
        for name, entries in found.items():
            newest = max(entry.modified for entry in entries)
            dead = (now - newest).total_seconds() >= self.in_flight
            if dead or name.startswith("removed-"):
                swept.append(area + name)
                if not self.dry_run:
                    self.store.delete([entry.key for entry in entries])
        return swept
