"""Points a label at a version, so that servers follow and `retain` does not remove it meanwhile."""

import time

from tfx_shrink.bucket_pusher import models_config
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.overtaken import Overtaken


def point_to(
    books: Books,
    destination: Destination,
    label: str,
    version: int,
    settle_seconds: float | None = None,
) -> models_config.Labels:
    """Makes a label name a complete version, in two writes of models.config where it must be two.

    The first write has servers load the version. The label follows when they have had time to read
    that, since TensorFlow Serving would refuse a label that moves to what it has never loaded, and
    with it every other change of the file; a refusal while it is loading ends by itself. A label
    that is new is taken at once (`--allow_version_labels_for_unavailable_models`).

    Args:
      books: The model's bookkeeping.
      destination: Where.
      label: The label.
      version: What it shall name.
      settle_seconds: How long servers may take to read models.config. Defaults to None: a minute.

    Returns:
      {label: version} afterwards.

    Raises:
      Overtaken: Somebody else has decided to remove the version; nothing names it.
      PublishError: The destination cannot be used.
    """
    store, model_name = books.store, destination.model_name
    labels, _ = models_config.read_pins(store, model_name)
    if labels.get(label) == version:
        return labels
    announced = models_config.announce(store, model_name, destination.served_path, version)
    # `retain` marks a version before it looks who names it, and here it is the other way round:
    # one of the two sees the other.
    claim = books.claim(version)
    if claim is None or claim.state != "sealed":
        models_config.withdraw(store, model_name, [version])
        raise Overtaken
    if announced and label in labels:
        time.sleep(models_config.SETTLE_SECONDS if settle_seconds is None else settle_seconds)
    return models_config.change_labels(
        *(store, model_name, destination.served_path, models_config.point(label, version)),
        announced=version,
    )
