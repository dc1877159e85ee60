"""Waiting for what other threads and processes do, and ports for them to listen on."""

import socket
import time


def wait_for(condition, what, seconds=240, every=0.1):
    """Waits until something is true; `what` says what, or returns it."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"Not after {seconds} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(every)


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
