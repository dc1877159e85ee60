"""Publishes a model directory as a version of a model in a bucket."""

import uuid
from collections.abc import Mapping

from tfx_shrink.bucket_pusher import models_config, numbering
from tfx_shrink.bucket_pusher.content import on_this_machine, read_content
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.overtaken import until_done
from tfx_shrink.bucket_pusher.packing import packed
from tfx_shrink.bucket_pusher.push import Published, Push
from tfx_shrink.bucket_pusher.settings import STABLE, check_mode, check_transport
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError

__all__ = ["Published", "check_writable", "publish"]


def publish(
    model_dir: str,
    destination: Destination,
    *,
    mode: str = "latest",
    label: str = STABLE,
    versioning: str | int = "monotonic",
    transport: str = "plain",
    run: Mapping[str, str] | None = None,
    settle_seconds: float | None = None,
    store: Store | None = None,
) -> Published:
    """Publishes a model: a server sees all of the version, or fails to load it, or sees nothing.

    A number is claimed by a conditional create under `<root>/_tfx/<model_name>/`, where TensorFlow
    Serving does not look; the files are uploaded, listed and compared with their source, and only
    then the file is written that makes the directory a model. On `file://` the whole version
    appears by one rename. Where TensorFlow Serving lists the bucket itself (`gs://`, mode
    `latest`) files go to a staging area first, and the store copies them. Numbers rise and are
    never used twice. A push that dies is resumed by the next push of the same content, or leaves
    what `retain` removes. Of a TFLite model only `model.tflite` and `assets.extra/` are published.

    Content that is live already is not published again. In mode `pinned` content that is there
    already is only pointed to; in `latest` it becomes a new version that the store copies.

    Example:
      ```python
      published = publish("model_int8", parse_destination("gs://models/prod", "digits"))
      ```

    Args:
      model_dir: A SavedModel's or TFLite model's directory, on any tf.io.gfile file system.
      destination: Where to, from `parse_destination`.
      mode: `"latest"`, TensorFlow Serving's default policy, or `"pinned"`: servers load what
        `<root>/models.config` names. Defaults to `"latest"`.
      label: In mode `pinned` what shall name the version, `"stable"` or `"canary"`. Defaults to
        `"stable"`.
      versioning: `"monotonic"`, `"timestamp"`, or the version's number. Defaults to
        `"monotonic"`.
      transport: `"plain"`, or `"zstd"`: files are stored compressed, under their own names, for
        servers that get them through `tfx-shrink pull`, which restores them. Needs room for them
        in the temporary directory. Defaults to `"plain"`.
      run: Names of the pipeline and the run, for the commit record. Defaults to None.
      settle_seconds: In mode `pinned` how long servers may take to read models.config, before a
        label that names another version moves to this one. Defaults to None: a minute.
      store: The destination's store. Defaults to the one that its URL names.

    Returns:
      The version that holds the content.

    Raises:
      ParameterError: A parameter is out of its range, the explicit version is not the highest,
        models.config pins the model and `mode` is not `pinned`, or TensorFlow Serving itself would
        read what is compressed.
      ModelError: `model_dir` holds no model.
      PublishError: The destination cannot be used, or a file arrived changed. Nothing of this push
        can be served.
    """
    check_mode(mode, label)
    check_transport(transport, destination)
    versioning = numbering.check_versioning(versioning)
    with (
        on_this_machine(model_dir) as directory,
        packed(read_content(directory), transport) as content,
    ):
        store = store or open_store(destination)
        if mode == "latest":
            _require_no_pins(store, destination)
        push = Push(
            *(store, destination, content, mode, label, versioning, run),
            settle_seconds=settle_seconds,
        )
        return until_done(push.attempt, destination.url)


def _require_no_pins(store: Store, destination: Destination) -> None:
    labels, named = models_config.read_pins(store, destination.model_name)
    if named:
        raise ParameterError(
            f"{destination.url}/{models_config.KEY} pins {destination.model_name} to versions "
            f"{sorted(named)} (labels {labels}), so servers would never load the highest one. Give "
            "mode='pinned', or take the model out of that file. Received: mode='latest'."
        )


def check_writable(destination: Destination) -> None:
    """Checks that something can be written at the root, and leaves nothing there.

    Raises:
      PublishError: It cannot; the text says why.
    """
    if destination.scheme == "file://":
        from tfx_shrink.delivery import require_writable  # It imports TensorFlow.

        require_writable(destination.path, destination.url)
        return
    store, key = open_store(destination), f"_tfx/writable-{uuid.uuid4().hex}"
    store.create(key, b"")
    store.delete([key])
