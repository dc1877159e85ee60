"""Writes what TensorFlow Serving is started with, from what lies in a bucket."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence

from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelConfig, ModelServerConfig

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.content import sentinel_of
from tfx_shrink.bucket_pusher.destination import Destination, parse_destination
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError
from tfx_shrink.model_files import SERVED_TFLITE
from tfx_shrink.parameters import require_model_names
from tfx_shrink.serving.config_text import parse_batching, parse_monitoring
from tfx_shrink.serving.exported import check_exported

MODELS, MONITORING, BATCHING = "models.config", "monitoring.config", "batching.config"

# As kubeflow/serving/base has them.
MONITORING_TEXT = """\
# Served on the REST port alone: without --rest_api_port nothing is exported.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""
BATCHING_TEXT = """\
# A larger request is refused.
max_batch_size { value: 128 }
# A CPU gains nothing by waiting: what is queued when a thread is free is one batch.
batch_timeout_micros { value: 0 }
# Beyond it requests fail with UNAVAILABLE instead of waiting for ever.
max_enqueued_batches { value: 100 }
# As many as the container has CPUs.
num_batch_threads { value: 2 }
"""


@dataclasses.dataclass(frozen=True)
class ServeConfig:
    """What was written.

    Attributes:
      files: The paths: models.config, monitoring.config, batching.config.
      flags: What `tensorflow_model_server` needs to read them and to load these versions.
      versions: {model: the versions that will be loaded}; of a `latest` policy today's.
    """

    files: tuple[str, ...]
    flags: tuple[str, ...]
    versions: dict[str, tuple[int, ...]]


def serve_config(
    url: str,
    model_names: Sequence[str],
    out: str,
    *,
    served_from: str | None = None,
    store: Store | None = None,
) -> ServeConfig:
    """Writes models.config, monitoring.config and batching.config for models in a bucket.

    A model that `<url>/models.config` names gets the same versions and labels; any other follows
    its highest version. models.config is written last and at once. A monitoring.config or
    batching.config that is there already is checked and left as it is. Nothing is written where
    TensorFlow Serving could not load a model, or would export no metrics.

    Example:
      ```python
      serve_config("gs://models/prod", ["digits"], "overlays/mine")
      ```

    Args:
      url: Root of the bucket.
      model_names: The models.
      out: The directory to write to, on this machine; it is made.
      served_from: The directory that servers load from, such as `tfx-shrink pull`'s `/models`.
        Defaults to None: they read the bucket itself, `gs://` or `file://`.
      store: The bucket's store. Defaults to the one that its URL names.

    Returns:
      What was written, and the flags.

    Raises:
      ParameterError: An argument is out of its range, a model has no version that can be loaded,
        or a file that is there already is wrong.
      PublishError: The bucket cannot be read.
    """
    require_model_names(model_names)
    places = [parse_destination(url, name) for name in model_names]
    if served_from is None and not places[0].read_by_serving:
        raise ParameterError(
            f"TensorFlow Serving reads gs:// and local paths only. Received: {url!r}. Give "
            "`served_from`, the directory that `tfx-shrink pull` fills, such as /models."
        )
    if served_from is not None and not os.path.isabs(served_from):
        raise ParameterError(
            f"`served_from` must be an absolute path. Received: served_from={served_from!r}."
        )
    store = store or open_store(places[0])
    config, versions, tflite = ModelServerConfig(), {}, False
    for place in places:
        entry, loaded, lite = _entry(store, place, served_from)
        config.model_config_list.config.append(entry)
        versions[place.model_name] = loaded
        tflite = tflite or lite
    flags = _flags(tflite)
    texts = {
        MONITORING: _kept(out, MONITORING, MONITORING_TEXT, parse_monitoring),
        BATCHING: _kept(out, BATCHING, BATCHING_TEXT, parse_batching),
        MODELS: text_format.MessageToString(config),
    }
    check_exported(flags, texts)
    os.makedirs(out, exist_ok=True)
    for name, text in texts.items():
        _write(os.path.join(out, name), text)
    return ServeConfig(
        tuple(os.path.join(out, name) for name in (MODELS, MONITORING, BATCHING)), flags, versions
    )


def _entry(
    store: Store, place: Destination, served_from: str | None
) -> tuple[ModelConfig, tuple[int, ...], bool]:
    books = Books(store, place.model_name)
    seen = books.look()
    labels, pinned = models_config.read_pins(store, place.model_name)
    wanted = sorted(pinned) or seen.complete[-1:]
    where = f"{place.url}/{place.model_name}"
    if not wanted:
        raise ParameterError(
            f"{where} holds no version that a server can load. Push one, or see `tfx-shrink "
            f"versions {place.url} --model-name {place.model_name}`."
        )
    missing = sorted(set(wanted) - set(seen.complete))
    if missing:
        raise ParameterError(
            f"{place.url}/{models_config.KEY} names versions {missing} of {place.model_name}, "
            f"and {where} holds {seen.complete}. Push them, or `tfx-shrink rollback`."
        )
    entry = ModelConfig(name=place.model_name, model_platform="tensorflow")
    entry.base_path = (
        os.path.join(served_from, place.model_name) if served_from else place.served_path
    )
    if pinned:
        entry.model_version_policy.specific.versions[:] = wanted
        entry.version_labels.update(labels)
    else:
        entry.model_version_policy.latest.num_versions = 1
    prefixes = {number: books.version(number) for number in wanted}
    names = {
        number: {file.key.removeprefix(prefix) for file in seen.files[number]}
        for number, prefix in prefixes.items()
    }
    lite = any(sentinel_of(files) == SERVED_TFLITE for files in names.values())
    return entry, tuple(wanted), lite


def _flags(tflite: bool) -> tuple[str, ...]:
    """The least that a server needs; kubeflow/serving/base has all of them, with reasons."""
    flags = [
        "--port=8500",
        "--rest_api_port=8501",
        f"--model_config_file=/config/{MODELS}",
        "--model_config_file_poll_wait_seconds=30",
        "--allow_version_labels_for_unavailable_models=true",
        f"--monitoring_config_file=/config/{MONITORING}",
        "--enable_batching=true",
        f"--batching_parameters_file=/config/{BATCHING}",
    ]
    if tflite:
        flags.append("--prefer_tflite_model=true")
    return tuple(flags)


def _kept(out: str, name: str, text: str, check: Callable[[str], object]) -> str:
    """The file's own text where it is there and right, else `text`."""
    with contextlib.suppress(FileNotFoundError), open(os.path.join(out, name)) as file:
        text = file.read()
    check(text)
    return text


def _write(path: str, text: str) -> None:
    coming = f"{path}.coming"
    with open(coming, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(coming, path)
