"""The parameters of a pull, checked before anything is written."""

import os
from collections.abc import Sequence

from tfx_shrink.bucket_pusher.destination import Destination, parse_destination
from tfx_shrink.bucket_pusher.settings import check_keep
from tfx_shrink.errors import ParameterError, PullError
from tfx_shrink.parameters import (
    require_above_0,
    require_at_least,
    require_model_names,
    require_port,
)
from tfx_shrink.puller.served import only_one


def check_numbers(keep: int, poll_seconds: float, settle_seconds: float, port: int | None) -> None:
    """Checks the parameters that are numbers.

    Raises:
      ParameterError: One of them is out of its range.
    """
    check_keep(keep)
    require_above_0({"poll_seconds": poll_seconds})
    require_at_least(0, {"settle_seconds": settle_seconds})
    require_port(port)


def check_models(url: str, model_names: Sequence[str]) -> list[Destination]:
    """Checks the bucket's URL and the models' names.

    Returns:
      For each model where it lies.

    Raises:
      ParameterError: The URL or a name cannot be one, or a name is given twice or not at all.
    """
    require_model_names(model_names)
    return [parse_destination(url, name) for name in model_names]


def check_directory(directory: str, destination: Destination) -> str:
    """Checks that versions can be written to a directory, and makes it.

    Returns:
      Its absolute path.

    Raises:
      ParameterError: It is no local path, or it is the bucket itself.
      PullError: It cannot be written.
    """
    if "://" in directory:
        raise ParameterError(
            "`directory` must be a local path, which TensorFlow Serving reads. "
            f"Received: directory={directory!r}."
        )
    path = os.path.abspath(directory)
    if destination.scheme == "file://" and os.path.realpath(path) == os.path.realpath(
        destination.path
    ):
        raise ParameterError(
            f"`directory` is the bucket itself: {path}. Versions are pulled from one into the "
            "other; TensorFlow Serving can also read that bucket as it is."
        )
    try:
        with only_one(path):
            pass
    except OSError as error:
        raise PullError(
            f"Cannot write to {directory}: {error}. Give a directory that this user can write to."
        ) from error
    return path
