"""Keeps a local directory equal to what a bucket wants served."""

import contextlib
import random
import threading
from collections.abc import Sequence

from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import PullError
from tfx_shrink.puller import endpoints
from tfx_shrink.puller.puller import Puller
from tfx_shrink.puller.settings import check_directory, check_models, check_numbers


def pull(
    url: str,
    directory: str,
    model_names: Sequence[str],
    *,
    keep: int = 2,
    once: bool = False,
    poll_seconds: float = 10.0,
    settle_seconds: float = 60.0,
    port: int | None = None,
    stop: threading.Event | None = None,
    store: Store | None = None,
) -> dict[str, int | None]:
    """Pulls versions from a bucket into `<directory>/<model_name>/<N>/` until it is stopped.

    A version appears by one rename, after every byte of it was compared with the manifest of its
    push. Where `<url>/models.config` names versions of a model, all of those are fetched; elsewhere
    the highest. The local `models.config`, the bucket's with local paths and of these models only,
    is replaced last, in two steps where a label moves: TensorFlow Serving refuses a file whose
    label points to a version that it has not loaded. What is served stays whatever happens: bucket
    unreachable or emptied, version damaged or deleted, disk full. The directory belongs to the
    puller, which removes old versions there; it can be killed and started again at any moment.

    Example:
      ```python
      pull("s3://models/prod", "/models", ["digits"], once=True)
      ```

    Args:
      url: The root of the bucket, as it was given to BucketPusher.
      directory: A local path; TensorFlow Serving must see it under the same one.
      model_names: Which models.
      keep: How many of the highest versions stay on the disk, at least 1; one that models.config
        names always does. Defaults to 2.
      once: Whether to return as soon as the directory is up to date, or, where that fails, every
        model has a version that can be served; a warning says why. Defaults to False.
      poll_seconds: How long to wait between looks at the bucket. Defaults to 10.
      settle_seconds: How long a version is in models.config before a label moves to it; more than
        TensorFlow Serving's --model_config_file_poll_wait_seconds. Defaults to 60.
      port: Where `/healthz`, `/readyz` and `/metrics` are served; 0 for a free port. Defaults to
        None: nowhere.
      stop: Set it to end. Defaults to None: never.
      store: The bucket's store. Defaults to the one that its URL names.

    Returns:
      {model: the version that is served, or None}.

    Raises:
      ParameterError: A parameter is out of its range.
      PullError: The directory cannot be written, or, with `once`, a model has no version that can
        be served.
    """
    check_numbers(keep, poll_seconds, settle_seconds, port)
    destinations = check_models(url, model_names)
    stop = stop or threading.Event()
    puller = Puller(
        store or open_store(destinations[0]),
        check_directory(directory, destinations[0]),
        model_names,
        keep=keep,
        settle_seconds=settle_seconds,
        stopped=stop.is_set,
    )
    models = puller.status.models.values()
    listening = contextlib.nullcontext() if port is None else endpoints.serve(puller.status, port)
    with listening:
        while not stop.is_set():
            done = puller.look()
            if once and done:
                break
            errors = [model.error for model in models if model.error]
            if once and errors:
                if puller.status.ready():
                    break
                raise PullError("\n".join(dict.fromkeys(errors)))
            # Many servers must not ask at the same moment.
            stop.wait(poll_seconds * random.uniform(0.9, 1.1))
        else:
            if once:
                raise PullError(f"It was stopped before {directory} was up to date.")
    return {model.name: model.served for model in models}
