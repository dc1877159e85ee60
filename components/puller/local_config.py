"""The local models.config: the bucket's, of the models that are pulled, with local paths.

TensorFlow Serving refuses a whole file, and so loads nothing new of it, while a label that it
knows points to a version that is not AVAILABLE (tensorflow_serving/model_servers/server_core.cc,
ReloadConfig calls UpdateModelVersionLabelMap first). So labels move in two steps: a file that only
names the new versions, and, when servers have read that, the file with the labels. A label that is
new is taken at once (`--allow_version_labels_for_unavailable_models`).
"""

import contextlib
import os
import time
from collections.abc import Callable, Collection, Mapping

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from tfx_shrink.bucket_pusher.local_store import sync
from tfx_shrink.bucket_pusher.models_config import KEY, named_versions

_WRITING = f".{KEY}.coming"


class LocalConfig:
    """The file, and since when it names what.

    Args:
      directory: Where it lies.
      settle_seconds: How long servers may take to read it again.
      clock: Seconds that only rise.
    """

    def __init__(
        self, directory: str, settle_seconds: float, clock: Callable[[], float] = time.monotonic
    ):
        self._directory, self._settle, self._clock = directory, settle_seconds, clock
        self._entries = self._read()
        self._named_since: dict[tuple[str, int], float] = {}
        self._left_since: dict[tuple[str, int], float] = {}
        self._watch()

    def entry(self, model_name: str) -> ModelConfig | None:
        """Returns a model's entry as it lies there."""
        return self._entries.get(model_name)

    def sweep(self) -> None:
        """Removes what a process that was killed left."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._directory, _WRITING))

    def write(self, wanted: Mapping[str, ModelConfig]) -> set[str]:
        """Replaces the file at once with as much of what is wanted as servers can take now.

        Args:
          wanted: {model: its entry}; no other model stays in the file.

        Returns:
          The models whose labels are still to be moved by a later call.
        """
        written = {
            name: self._next(self._entries.get(name), entry) for name, entry in wanted.items()
        }
        if written != self._entries:
            self._replace(written)
            self._entries = written
            self._watch()
        return {name for name, entry in wanted.items() if written[name] != entry}

    def unnamed(self, model_name: str, versions: Collection[int], seconds: float) -> list[int]:
        """Returns those of some versions that the file has not named for so long."""
        now = self._clock()
        entry = self._entries.get(model_name, ModelConfig())
        left = [number for number in versions if number not in named_versions(entry)]
        since = [self._left_since.setdefault((model_name, number), now) for number in left]
        return [number for number, then in zip(left, since, strict=True) if now - then >= seconds]

    def _next(self, old: ModelConfig | None, new: ModelConfig) -> ModelConfig:
        """The new entry, or the step before it."""
        if old is None or not named_versions(old):
            return new
        moved = {
            version
            for label, version in new.version_labels.items()
            if old.version_labels.get(label, version) != version
        }
        now, never = self._clock(), float("inf")
        since = [self._named_since.get((new.name, version), never) for version in moved]
        if all(now - then >= self._settle for then in since):
            return new
        step = ModelConfig()
        step.CopyFrom(old)
        versions = sorted({*named_versions(old), *named_versions(new)})
        step.model_version_policy.specific.versions[:] = versions
        return step

    def _watch(self) -> None:
        now = self._clock()
        named = {
            (name, version)
            for name, entry in self._entries.items()
            for version in named_versions(entry)
        }
        self._named_since = {key: self._named_since.get(key, now) for key in named}
        self._left_since = {key: then for key, then in self._left_since.items() if key not in named}

    def _read(self) -> dict[str, ModelConfig]:
        try:
            with open(os.path.join(self._directory, KEY), encoding="utf-8") as file:
                config = text_format.Parse(file.read(), ModelServerConfig())
        except FileNotFoundError:
            return {}
        except (text_format.ParseError, UnicodeDecodeError):
            return {}  # It is written anew.
        return {entry.name: entry for entry in config.model_config_list.config}

    def _replace(self, entries: Mapping[str, ModelConfig]) -> None:
        config = ModelServerConfig()
        config.model_config_list.config.extend(entries[name] for name in sorted(entries))
        beside = os.path.join(self._directory, _WRITING)
        with open(beside, "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(config))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, os.path.join(self._directory, KEY))
        sync(self._directory)
