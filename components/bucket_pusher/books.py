"""The bookkeeping of one model: numbers that are taken, and what lies under them.

`<model>/<N>/…` are the versions. `_tfx/<model>/`, where TensorFlow Serving does not look, holds
`claims/<N>.json`, written by conditional create before anything of a version, `commits/<N>.json`,
written when it is complete, and `staging/`.
"""

import contextlib
import dataclasses
import datetime
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from tfx_shrink.bucket_pusher.content import sentinel_of
from tfx_shrink.bucket_pusher.store import Entry, Store
from tfx_shrink.model_files import SAVED_MODEL, SERVED_TFLITE

INT64_MAX = 2**63 - 1
# What TensorFlow Serving takes for a version: absl::SimpleAtoi accepts it
# (tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc).
_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*")
_CANONICAL = re.compile(r"0|[1-9][0-9]*")


@dataclasses.dataclass(frozen=True)
class Claim:
    """A number that was taken, by a record as the store holds it.

    Attributes:
      state: `claimed`, while files arrive; `sealed`, when they were verified and the sentinel may
        be written; `abandoned` or `removed`, when what is left of it may be deleted.
      record: The whole record.
      etag: What `Store.replace` needs to change it.
    """

    state: str
    record: Mapping[str, Any]
    etag: str


@dataclasses.dataclass
class Listing:
    """What a listing shows.

    Attributes:
      files: {number: its objects}.
      complete: Numbers that a server can load, ascending.
      claims: {number: the claim's object}.
      commits: Numbers with a commit record.
      taken: Every number that TensorFlow Serving or a claim knows.
    """

    files: dict[int, list[Entry]]
    complete: list[int]
    claims: dict[int, Entry]
    commits: set[int]
    taken: set[int]

    def idle_seconds(self, number: int) -> float:
        """How long nothing has been written of a version."""
        entries = [*self.files.get(number, ()), *filter(None, [self.claims.get(number)])]
        latest = max(entry.modified for entry in entries)
        return (datetime.datetime.now(datetime.timezone.utc) - latest).total_seconds()


class Books:
    """Reads and writes one model's bookkeeping."""

    def __init__(self, store: Store, model_name: str):
        self.store, self.model_name = store, model_name
        self.base = f"{model_name}/"
        self.area = f"_tfx/{model_name}/"

    def version(self, number: int) -> str:
        """Returns the prefix of a version's files."""
        return f"{self.base}{number}/"

    def claim_key(self, number: int) -> str:
        """Returns the key of a number's claim."""
        return f"{self.area}claims/{number}.json"

    def commit_key(self, number: int) -> str:
        """Returns the key of a version's commit record."""
        return f"{self.area}commits/{number}.json"

    def taken(self) -> set[int]:
        """Returns every number that a server or a claim knows."""
        names = [*self.store.children(self.base)]
        names += [name.removesuffix(".json") for name in self.store.children(f"{self.area}claims/")]
        # TensorFlow Serving ignores what does not fit into an int64.
        return {int(name) for name in names if _NUMBER.fullmatch(name) and int(name) <= INT64_MAX}

    def look(self) -> Listing:
        """Lists the model's versions and records."""
        files: dict[int, list[Entry]] = defaultdict(list)
        for entry in self.store.list(self.base):
            name = entry.key[len(self.base) :].partition("/")[0]
            if _CANONICAL.fullmatch(name):
                files[int(name)].append(entry)
        claims, commits = {}, set()
        for entry in self.store.list(self.area):
            area, _, name = entry.key[len(self.area) :].partition("/")
            name = name.removesuffix(".json")
            if area == "claims" and _CANONICAL.fullmatch(name):
                claims[int(name)] = entry
            elif area == "commits" and _CANONICAL.fullmatch(name):
                commits.add(int(name))
        complete = [
            number
            for number, entries in sorted(files.items())
            if self._is_complete(number, entries, committed=number in commits)
        ]
        return Listing(dict(files), complete, claims, commits, {*files, *claims})

    def _is_complete(self, number: int, entries: list[Entry], *, committed: bool) -> bool:
        prefix = self.version(number)
        sentinel = sentinel_of({entry.key.removeprefix(prefix) for entry in entries})
        if sentinel != SERVED_TFLITE or committed:
            return bool(sentinel)
        # A SavedModel may hold such a file, too, before its own sentinel is there.
        claim = self.claim(number)
        return claim is None or SAVED_MODEL not in claim.record.get("files", ())

    def claim(self, number: int) -> Claim | None:
        """Returns a number's claim, or None where there is none that can be read."""
        found = self.store.read(self.claim_key(number))
        if found is None:
            return None
        try:
            record = json.loads(found.data)
            return Claim(record["state"], record, found.etag)
        except (ValueError, KeyError):  # Its publisher died while it wrote it, or is writing it.
            return Claim("claimed", {}, found.etag)

    def set_state(self, number: int, claim: Claim, state: str) -> bool:
        """Changes a claim that nobody else has changed; False where somebody has."""
        record = encode({**claim.record, "version": number, "state": state})
        return self.store.replace(self.claim_key(number), record, claim.etag)

    def record(self, number: int) -> Mapping[str, Any] | None:
        """Returns what is known of a complete version; None of one that another tool wrote."""
        found = self.store.read(self.commit_key(number))
        with contextlib.suppress(ValueError):  # Its publisher died while it wrote it.
            if found is not None:
                return json.loads(found.data)
        claim = self.claim(number)
        # One that is being removed loses its sentinel first, so while it is complete it is whole.
        return claim.record if claim and claim.state in ("sealed", "removed") else None

    def commit(self, number: int, record: Mapping[str, Any]) -> None:
        """Writes a complete version's record."""
        found = self.store.read(self.commit_key(number))
        self.store.replace(self.commit_key(number), encode(record), found.etag if found else None)


def encode(record: Mapping[str, Any]) -> bytes:
    """Returns a record as it is stored."""
    return json.dumps(record, indent=1, sort_keys=True).encode()
