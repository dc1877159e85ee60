"""One look at the bucket after the other: fetch, replace models.config, remove what is old."""

import contextlib
import dataclasses
import errno
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence

from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.content import Content
from tfx_shrink.bucket_pusher.models_config import named_versions
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.errors import DamagedError, PublishError, PullError
from tfx_shrink.puller.fetch import StoppedError, fetch
from tfx_shrink.puller.local_config import LocalConfig
from tfx_shrink.puller.manifest import checked_content
from tfx_shrink.puller.served import Served, only_one
from tfx_shrink.puller.status import BUCKET, DAMAGED, DISK, ModelStatus, Status
from tfx_shrink.puller.wanted import Wanted, stable_version, wanted_versions

_log = logging.getLogger(__name__)

# A server that is slow to load what replaces a version still reads its directory.
REMOVE_AFTER_SECONDS = 900.0
# A version that is damaged is not fetched anew at every look.
_FIRST_PAUSE, _LONGEST_PAUSE, _DOUBLINGS = 20.0, 600.0, 5


class _PutOffError(PullError):
    """A damaged version is not tried again yet."""


@dataclasses.dataclass
class _Model:
    books: Books
    served: Served
    status: ModelStatus
    # The version that arrived damaged last, how often, and when it is tried again.
    damaged: int = -1
    times: int = 0
    not_before: float = 0.0


class Puller:
    """Keeps a local directory equal to what the bucket wants served; `look` is one attempt.

    Args:
      store: The bucket's root.
      directory: The local directory of all models; an absolute path.
      model_names: The models.
      keep: How many of the highest versions stay on the disk.
      settle_seconds: How long servers may take to read models.config again.
      stopped: Whether to give up.
      clock: Seconds that only rise.
      remove_after_seconds: How long a version that models.config does not name any more stays.
    """

    def __init__(
        self,
        store: Store,
        directory: str,
        model_names: Sequence[str],
        *,
        keep: int,
        settle_seconds: float,
        stopped: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        remove_after_seconds: float = REMOVE_AFTER_SECONDS,
    ):
        self.store, self.directory, self._keep = store, directory, keep
        self._stopped, self._clock, self._remove_after = stopped, clock, remove_after_seconds
        self._moving = threading.Lock()
        self.status = Status(model_names, clock)
        self._config = LocalConfig(directory, settle_seconds, clock)
        self._models = [
            _Model(Books(store, name), Served(directory, name), self.status.models[name])
            for name in model_names
        ]
        for model in self._models:
            self._say_what_is_served(model)

    def look(self) -> bool:
        """Brings the directory up to date; returns whether it is all that the bucket wants.

        What goes wrong is counted and logged; what is served stays, and the next look tries again.
        """
        self.status.still_alive()
        try:
            with only_one(self.directory) as alone:
                done = self._look() if alone else False
        except OSError as error:
            for model in self._models:
                self._fail(model, DISK, error)
            return False
        finally:
            for model in self._models:
                self._say_what_is_served(model)
        if done:
            self.status.last_success = time.time()
        return done

    def _look(self) -> bool:
        self._config.sweep()
        for model in self._models:
            model.served.sweep()
        try:
            config = models_config.read_config(self.store)
        except PublishError as error:
            for model in self._models:
                self._fail(model, BUCKET, error)
            return False
        found = [(model, *self._bring(model, config)) for model in self._models]
        entries = {entry.name: entry for _, entry, _ in found if entry is not None}
        waiting = self._config.write(entries)
        done = [
            model for model, _, all_there in found if all_there and model.status.name not in waiting
        ]
        for model in self._models:
            if model in done:
                model.status.behind_since, model.status.error = None, ""
                self._remove_old(model)
            elif model.status.name in waiting:
                self._is_behind(model)
        return len(done) == len(found)

    def _bring(self, model: _Model, config: ModelServerConfig) -> tuple[ModelConfig | None, bool]:
        """Fetches what is missing.

        Returns:
          What the local models.config shall say of the model, and whether all is there.
        """
        before = self._config.entry(model.status.name)
        try:
            wanted = wanted_versions(model.books, config, self._keep)
        except PublishError as error:
            self._fail(model, BUCKET, error)
            return before, False
        model.status.published = wanted.published
        try:
            self._require_a_way_on(model, wanted)
            if wanted.pinned is None:
                self._fetch_highest(model, wanted.versions)
            else:
                for number in sorted({*wanted.versions} - {*model.served.versions()}):
                    self._fetch(model, number)
            return self._entry(model, wanted), True
        except (StoppedError, _PutOffError):
            pass  # It was said before, or nobody asks any more.
        except DamagedError as error:
            self._fail(model, DAMAGED, error)
        except (PublishError, PullError) as error:
            self._fail(model, BUCKET, error)
        except OSError as error:
            self._fail(model, DISK, error)
        self._is_behind(model)
        if before is None and wanted.pinned is None and model.served.versions():
            return self._entry(model, wanted), False  # A lower version stands in.
        return before, False

    def _require_a_way_on(self, model: _Model, wanted: Wanted) -> None:
        """Refuses what would empty the directory, or go from chosen versions to the highest."""
        url, name = self.store.url, model.status.name
        entry = self._config.entry(name)
        if not wanted.versions:
            raise PullError(f"{url}/{name} holds no version that tfx-shrink published. Push one.")
        if wanted.pinned is not None:
            return
        if entry is not None and named_versions(entry):
            raise PullError(
                f"{url}/{models_config.KEY} names no version of {name} any more. What it named "
                f"last is still served. Point to a version, or remove the local "
                f"{models_config.KEY} to serve the highest one."
            )
        highest = max(model.served.versions(), default=-1)
        if highest > wanted.versions[0]:
            raise PullError(
                f"{url}/{name} holds no version above {wanted.versions[0]}, and {highest} is "
                "served. Numbers only rise: push again, or remove the local directory of the "
                "version that shall not be served."
            )

    def _fetch_highest(self, model: _Model, versions: Sequence[int]) -> None:
        """Fetches the first, or a lower one if a directory is empty and the first is damaged."""
        there = model.served.versions()
        if versions[0] in there:
            return
        try:
            self._fetch(model, versions[0])
        except (DamagedError, PublishError):
            # What servers that started earlier go on serving.
            for number in versions[1:] if not there else ():
                with contextlib.suppress(DamagedError, PublishError):
                    self._fetch(model, number)
                    break
            raise

    def _fetch(self, model: _Model, number: int) -> None:
        """Fetches one version and shows it whole."""
        called = f"{self.store.url}/{model.books.version(number).rstrip('/')}"
        if number == model.damaged and self._clock() < model.not_before:
            raise _PutOffError(f"{called} was damaged; it is tried again later.")
        try:
            record = model.books.record(number)
            if record is None:
                raise PublishError(f"{called} has no manifest: it was removed, or others wrote it.")
            content = checked_content(record, called)
            self._require_room(called, content.bytes)
            self._arrive(model, number, content)
        except DamagedError:
            model.times = model.times + 1 if number == model.damaged else 1
            pause = min(_FIRST_PAUSE * 2 ** min(model.times - 1, _DOUBLINGS), _LONGEST_PAUSE)
            model.damaged, model.not_before = number, self._clock() + pause
            raise
        _log.info("%s arrived, %d bytes.", called, content.bytes)
        self._say_what_is_served(model)

    def _arrive(self, model: _Model, number: int, content: Content) -> None:
        def moved(count: int) -> None:
            with self._moving:
                model.status.bytes += count
            self.status.still_alive()

        arriving = model.served.new_directory(number)
        try:
            fetch(
                self.store,
                content,
                model.books.version(number),
                arriving,
                moved=moved,
                stopped=self._stopped,
            )
            model.served.place(number)
        except Exception:
            model.served.discard(number)
            raise

    def _require_room(self, called: str, needed: int) -> None:
        free = shutil.disk_usage(self.directory).free
        if needed > free:
            raise OSError(
                errno.ENOSPC,
                f"{called} needs {needed:,} bytes, {self.directory} has {free:,} left",
            )

    def _entry(self, model: _Model, wanted: Wanted) -> ModelConfig:
        """What the local models.config says of a model that is served as the bucket wants."""
        entry = ModelConfig(name=model.status.name, model_platform="tensorflow")
        if wanted.pinned is not None:
            entry.CopyFrom(wanted.pinned)
        entry.base_path = model.served.path
        return entry

    def _remove_old(self, model: _Model) -> None:
        old: Sequence[int] = model.served.versions()[: -self._keep]
        entry = self._config.entry(model.status.name)
        if entry is not None and named_versions(entry):
            old = self._config.unnamed(model.status.name, old, self._remove_after)
        for number in old:
            model.served.remove(number)

    def _say_what_is_served(self, model: _Model) -> None:
        there, entry = model.served.versions(), self._config.entry(model.status.name)
        served = max(there, default=None)
        if entry is not None and named_versions(entry):
            served = stable_version(entry) if stable_version(entry) in there else None
        model.status.served = served

    def _is_behind(self, model: _Model) -> None:
        if model.status.published is not None and model.status.behind_since is None:
            model.status.behind_since = self._clock()

    def _fail(self, model: _Model, reason: str, error: Exception) -> None:
        model.status.failures[reason] += 1
        if model.status.error != str(error):
            _log.warning("%s What is served stays; it is tried again.", error)
        model.status.error = str(error)
