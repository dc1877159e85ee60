"""Which number a version gets."""

import time
from collections.abc import Callable, Collection

from tfx_shrink.bucket_pusher.books import INT64_MAX
from tfx_shrink.errors import ParameterError, PublishError

POLICIES = ("monotonic", "timestamp")


def check_versioning(versioning: str | int) -> str | int:
    """Checks a `versioning` parameter.

    Args:
      versioning: `"monotonic"`, `"timestamp"`, or a version, as a number or in digits.

    Returns:
      One of the words, or the number.

    Raises:
      ParameterError: It is none of these, or not a positive int64.
    """
    if versioning in POLICIES:
        return versioning
    try:
        number = int(versioning)
    except (TypeError, ValueError):
        number = 0
    if isinstance(versioning, bool | float) or not 1 <= number <= INT64_MAX:
        raise ParameterError(
            f"`versioning` must be one of {list(POLICIES)} or a version from 1 to {INT64_MAX}, "
            f"since TensorFlow Serving ignores any other. Received: versioning={versioning!r}."
        )
    return number


def next_version(
    versioning: str | int,
    taken: Collection[int],
    url: str,
    clock: Callable[[], float] = time.time,
) -> int:
    """Returns the number to claim.

    Args:
      versioning: From `check_versioning`.
      taken: The numbers that are not free.
      url: What errors call the place.
      clock: Seconds since 1970. A clock behind the highest version gives the highest plus one.

    Raises:
      ParameterError: An explicit version is not above the others.
      PublishError: There is no higher number.
    """
    highest = max(taken, default=0)
    if isinstance(versioning, int):
        if versioning <= highest:
            raise ParameterError(
                f"A new version must be above every version there ever was. {url} has had "
                f"{highest}. Received: versioning={versioning}."
            )
        return versioning
    version = max(highest + 1, 1)
    if versioning == "timestamp":
        version = max(version, int(clock()))
    if version > INT64_MAX:
        raise PublishError(
            f"{url} holds version {INT64_MAX}, and TensorFlow Serving knows no higher one. Remove "
            "it, or use another model_name."
        )
    return version
