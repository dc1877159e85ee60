"""Waits until a version is served."""

import time
from collections.abc import Sequence

from tfx_shrink.errors import NotServedError
from tfx_shrink.parameters import require_above_0, require_at_least
from tfx_shrink.serving.status import AVAILABLE, VersionState, ask, parse_address

_ANSWER_SECONDS = 10.0


def wait_until_served(
    address: str,
    model_name: str,
    version: int,
    *,
    timeout_seconds: float = 600.0,
    poll_seconds: float = 1.0,
) -> list[VersionState]:
    """Waits until every server behind an address can answer with a version.

    Returns when TensorFlow Serving says AVAILABLE, that is after loading and warm-up. A server that
    does not answer yet, or does not know the version yet, is waited for. One whose retries have
    all failed is an error at once: TensorFlow Serving never tries that version again.

    Example:
      ```python
      wait_until_served("serving:8500", "digits", published.version)
      ```

    Args:
      address: `host:8500` or `grpc://host:8500` for gRPC, `http://host:8501` for REST. Every server
        that the name resolves to is asked.
      model_name: What TensorFlow Serving calls the model.
      version: The version, at least 0.
      timeout_seconds: When to give up. Defaults to 600.
      poll_seconds: How long to wait between questions. Defaults to 1.

    Returns:
      Each server's last word.

    Raises:
      ParameterError: The address is none, or a number is out of its range.
      NotServedError: A server cannot load the version, or the time is over.
    """
    place = parse_address(address)
    require_at_least(0, {"version": version})
    require_above_0({"timeout_seconds": timeout_seconds, "poll_seconds": poll_seconds})
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = deadline - time.monotonic()
        states = ask(place, model_name, version, min(_ANSWER_SECONDS, max(left, 0.1)))
        if all(state.state == AVAILABLE for state in states):
            return states
        failed = [state for state in states if state.failed]
        if failed:
            raise NotServedError(
                f"{_told(failed)}: version {version} of {model_name} cannot be loaded. The server "
                "does not try it again: push a new version."
            )
        if left <= poll_seconds:
            raise NotServedError(
                f"Version {version} of {model_name} is not served everywhere after "
                f"{timeout_seconds:g} s: {_told(states)}. Look at the servers' logs, or give a "
                "longer timeout."
            )
        time.sleep(poll_seconds)


def _told(states: Sequence[VersionState]) -> str:
    return "; ".join(
        f"{state.server} says {state.state}" + (f" ({state.error})" if state.error else "")
        for state in states
    )
