"""Moves servers on to a version, and back again."""

from tfx_shrink.bucket_pusher import models_config, pinning
from tfx_shrink.bucket_pusher.books import Books
from tfx_shrink.bucket_pusher.content import Content
from tfx_shrink.bucket_pusher.destination import Destination
from tfx_shrink.bucket_pusher.models_config import PREVIOUS, Labels
from tfx_shrink.bucket_pusher.overtaken import until_done
from tfx_shrink.bucket_pusher.push import Published, Push
from tfx_shrink.bucket_pusher.settings import STABLE
from tfx_shrink.bucket_pusher.store import Store
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.wait import wait_until_served


def promote(
    destination: Destination,
    *,
    address: str | None = None,
    timeout_seconds: float = 600.0,
    store: Store | None = None,
) -> Labels:
    """Makes `stable` name what `canary` names, by one write of models.config.

    The canary's version is in models.config already, so servers load it. With an `address` the
    label moves only when all servers there say that it is AVAILABLE: TensorFlow Serving refuses a
    models.config whose label points to any other version. What `stable` named before stays loaded
    as `previous`.

    Args:
      destination: From `parse_destination`.
      address: Where to ask: `host:8500` for gRPC, `http://host:8501` for REST. Defaults to None:
        nobody is asked.
      timeout_seconds: When to give up asking. Defaults to 600.
      store: Its store. Defaults to the one that its URL names.

    Returns:
      {label: version} afterwards.

    Raises:
      ParameterError: The model has no canary, or another one than when this began.
      NotServedError: A server cannot load the canary, or the time is over; nothing was changed.
      PublishError: The destination cannot be used.
    """
    store = store or open_store(destination)

    called = f"{destination.model_name} in {destination.url}/{models_config.KEY}"
    labels, _ = models_config.read_pins(store, destination.model_name)
    canary = models_config.canary_of(labels, called)
    if address is not None:
        wait_until_served(address, destination.model_name, canary, timeout_seconds=timeout_seconds)

    def change(labels: Labels) -> Labels:
        now = models_config.canary_of(labels, called)
        if now != canary:
            raise ParameterError(
                f"The canary of {destination.model_name} was {canary} and is now {now}: "
                "somebody else pushed one. Promote again."
            )
        return models_config.point(STABLE, canary)(labels)

    return models_config.change_labels(
        store, destination.model_name, destination.served_path, change
    )


def rollback(
    destination: Destination,
    version: int | None = None,
    *,
    settle_seconds: float | None = None,
    store: Store | None = None,
) -> Published:
    """Goes back to an older version.

    Where models.config names the model, `stable` names `previous` again. Elsewhere the old content
    becomes a new and higher version, which the store copies, since servers load the highest one.

    Args:
      destination: From `parse_destination`.
      version: To which. Defaults to None: to what was served before.
      settle_seconds: How long servers may take to read models.config, where they have not loaded
        the version. Defaults to None: a minute.
      store: Its store. Defaults to the one that its URL names.

    Returns:
      The version that is served afterwards.

    Raises:
      ParameterError: There is nothing to go back to, or no such version.
      PublishError: The destination cannot be used, or the old version is damaged.
    """
    store = store or open_store(destination)
    books = Books(store, destination.model_name)
    complete = books.look().complete
    if version is not None and version not in complete:
        raise ParameterError(f"`version` must be one of {complete}. Received: version={version}.")
    _, named = models_config.read_pins(store, destination.model_name)
    if named:
        return until_done(
            lambda: _point_back(store, destination, books, version, settle_seconds),
            destination.url,
        )
    return _republish(store, destination, books, complete, version)


def _point_back(
    store: Store,
    destination: Destination,
    books: Books,
    version: int | None,
    settle_seconds: float | None,
) -> Published:
    if version is not None:
        if version not in books.look().complete:
            raise ParameterError(f"Version {version} was removed meanwhile. Choose another one.")
        pinning.point_to(books, destination, STABLE, version, settle_seconds)
        return _published(destination, books, version)

    def change(labels: Labels) -> Labels:
        if PREVIOUS not in labels:
            raise ParameterError(
                f"{destination.model_name} has no version before this one in "
                f"{destination.url}/{models_config.KEY}. Give the version to go back to."
            )
        kept = {label: number for label, number in labels.items() if label != PREVIOUS}
        return {**kept, STABLE: labels[PREVIOUS]}

    labels = models_config.change_labels(
        store, destination.model_name, destination.served_path, change
    )
    number = labels[STABLE]
    return _published(destination, books, number)


def _republish(
    store: Store,
    destination: Destination,
    books: Books,
    complete: list[int],
    version: int | None,
) -> Published:
    number = _before(books, complete) if version is None else version
    record = books.record(number) if number is not None else None
    if number is None or record is None:
        raise ParameterError(
            f"There is no version to go back to at {destination.url}/{destination.model_name}: "
            f"{_what_is_there(books, complete)}"
        )
    if number == complete[-1]:
        return _published(destination, books, number)
    origin = record.get("republished_from") or number
    push = Push(
        store,
        destination,
        Content.from_json(record),
        "latest",
        STABLE,
        "monotonic",
        record.get("run"),
        republished_from=origin,
    )
    return until_done(lambda: push.republish(number), destination.url)


def _before(books: Books, complete: list[int]) -> int | None:
    """The version that was served before the highest, seen through earlier roll-backs."""
    if not complete:
        return None
    live = books.record(complete[-1]) or {}
    origin = live.get("republished_from") or complete[-1]
    for number in reversed([number for number in complete if number < origin]):
        record = books.record(number)
        if record is not None and record["digest"] != live.get("digest"):
            return number
    return None


def _what_is_there(books: Books, complete: list[int]) -> str:
    if len(complete) < 2:
        return f"it holds {complete}. Push another version first."
    origin = (books.record(complete[-1]) or {}).get("republished_from")
    same = f"{complete[-1]} serves what {origin} holds, and " if origin else ""
    return f"{same}nothing with a manifest was there before. Name one of {complete} as `version`."


def _published(destination: Destination, books: Books, number: int) -> Published:
    record = books.record(number)
    content = Content.from_json(record) if record else None
    return Published(
        number,
        destination.version_url(number),
        f"{destination.served_path}/{number}",
        content.bytes if content else 0,
        new=False,
        digest=content.digest if content else "",
    )
