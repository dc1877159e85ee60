"""`models.config`: which versions TensorFlow Serving loads, and what it calls them.

One file for all models of a root, which TensorFlow Serving reads again and again with
`--model_config_file_poll_wait_seconds`. It is changed by compare-and-swap, so that two publishers
never lose each other's entry.
"""

import random
import time
from collections.abc import Callable, Collection

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tfx_shrink.bucket_pusher.overtaken import Overtaken
from tfx_shrink.bucket_pusher.settings import CANARY, STABLE
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.errors import ParameterError, PublishError

KEY = "models.config"
# What `stable` named before. It stays loaded, so that a server can go back without loading.
PREVIOUS = "previous"
# How long servers may take to read the file: their --model_config_file_poll_wait_seconds, doubled.
SETTLE_SECONDS = 60.0
_ATTEMPTS = 60
_LONGEST_PAUSE = 0.5

Labels = dict[str, int]


def read_pins(store: Store, model_name: str) -> tuple[Labels, set[int]]:
    """Returns ({label: version}, every version that the file names) of one model.

    Raises:
      PublishError: The file is no ModelServerConfig.
    """
    for entry in read_config(store).model_config_list.config:
        if entry.name == model_name:
            return dict(entry.version_labels), named_versions(entry)
    return {}, set()


def canary_of(labels: Labels, called: str) -> int:
    """Returns the canary's version.

    Args:
      labels: What one model's labels name.
      called: Where they were read, for the message.

    Raises:
      ParameterError: There is none.
    """
    if CANARY not in labels:
        raise ParameterError(
            f"{called} has no {CANARY}. Push one in mode 'pinned' with label '{CANARY}'."
        )
    return labels[CANARY]


def read_config(store: Store) -> model_server_config_pb2.ModelServerConfig:
    """Returns what models.config holds; an empty one where there is no such file.

    Raises:
      PublishError: The file is no ModelServerConfig.
    """
    found = store.read(KEY)
    return _parse(store, found.data if found else b"")


def named_versions(entry: model_server_config_pb2.ModelConfig) -> set[int]:
    """Returns every version that one model's entry names."""
    return {*entry.version_labels.values(), *entry.model_version_policy.specific.versions}


def announce(store: Store, model_name: str, base_path: str, version: int) -> bool:
    """Has servers load a version, before any label names it.

    TensorFlow Serving refuses the whole file where a label moves to a version that is not AVAILABLE
    (tensorflow_serving/model_servers/server_core.cc, UpdateModelVersionLabelMap).

    Args:
      store: The bucket.
      model_name: The model.
      base_path: Where servers find it, for the entry of a model that the file does not name yet.
      version: What to load.

    Returns:
      Whether the file did not name the version before.
    """
    _, named = read_pins(store, model_name)
    if version in named:
        return False
    change_labels(store, model_name, base_path, besides=[version])
    return True


def withdraw(store: Store, model_name: str, versions: Collection[int]) -> None:
    """Has servers unload versions that were announced, if no label names them."""
    change_labels(store, model_name, without=versions)


def change_labels(
    store: Store,
    model_name: str,
    base_path: str = "",
    change: Callable[[Labels], Labels] = lambda labels: labels,
    *,
    besides: Collection[int] = (),
    without: Collection[int] = (),
    announced: int | None = None,
) -> Labels:
    """Changes one model's labels and leaves every other entry as it is.

    A version that loses its last label is not loaded any longer.

    Args:
      store: The root.
      model_name: The model.
      base_path: Where TensorFlow Serving finds its versions; an entry that is there keeps its own.
      change: From its labels to what they shall be; called again where somebody else was faster.
        Defaults to leaving them.
      besides: Versions to load without a label. Defaults to none.
      without: Versions to load only if they have a label. Defaults to none.
      announced: A version that must be loaded already. Defaults to none.

    Returns:
      The labels as they were written.

    Raises:
      Overtaken: Somebody else has withdrawn the announced version.
      PublishError: The file is no ModelServerConfig, or others change it without a pause.
    """
    for _ in range(_ATTEMPTS):
        found = store.read(KEY)
        config = _parse(store, found.data if found else b"")
        entries = config.model_config_list.config
        entry = next((item for item in entries if item.name == model_name), None)
        before = dict(entry.version_labels) if entry else {}
        labels = change(dict(before))
        if entry is None:
            entry = entries.add(name=model_name, base_path=base_path, model_platform="tensorflow")
        if announced is not None and announced not in named_versions(entry):
            raise Overtaken
        unlabelled = {*entry.model_version_policy.specific.versions, *besides}
        unlabelled -= {*before.values(), *without}
        loaded = sorted({*labels.values(), *unlabelled})
        entry.model_version_policy.specific.versions[:] = loaded
        entry.version_labels.clear()
        entry.version_labels.update(labels)
        if not loaded:
            entries.remove(entry)
        data = text_format.MessageToString(config).encode()
        if (found and data == found.data) or store.replace(
            KEY, data, found.etag if found else None
        ):
            return labels
        time.sleep(random.uniform(0, _LONGEST_PAUSE))
    raise PublishError(
        f"{store.url}/{KEY} was changed by others {_ATTEMPTS} times while it was to change here. "
        "Push again; the files are there already."
    )


def point(label: str, version: int) -> Callable[[Labels], Labels]:
    """Returns the change that makes `label` name a version, and `previous` what `stable` named."""

    def change(labels: Labels) -> Labels:
        if labels.get(label) == version:
            return labels
        changed = {**labels, label: version}
        if label == STABLE and STABLE in labels:
            changed[PREVIOUS] = labels[STABLE]
        return changed

    return change


def _parse(store: Store, data: bytes) -> model_server_config_pb2.ModelServerConfig:
    try:
        return text_format.Parse(data, model_server_config_pb2.ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise PublishError(
            f"{store.url}/{KEY} is no ModelServerConfig in text: {error}. Mend it, or move it away."
        ) from error
