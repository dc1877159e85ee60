"""What happens to work on a bucket that somebody else was faster with."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

from tfx_shrink.errors import PublishError

_ATTEMPTS = 20
_Result = TypeVar("_Result")


class Overtaken(Exception):  # noqa: N818
    """Somebody else gave up this number, took it, or did the same; begin again."""


def until_done(attempt: Callable[[], _Result], url: str) -> _Result:
    """Calls `attempt` again whenever it was overtaken.

    Raises:
      PublishError: It is overtaken every time.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(Overtaken):
            return attempt()
    raise PublishError(f"Other publishers took over {_ATTEMPTS} times at {url}. Push again.")
