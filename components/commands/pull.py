"""`tfx-shrink pull`."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import click

# Kubernetes kills after 30 s. A request without an answer shall not take all of them.
_GRACE_SECONDS = 5.0


@click.command(
    epilog="""\b
Examples:
  tfx-shrink pull s3://models/prod /models --model-name digits
  tfx-shrink pull az://models /models --model-name digits --model-name taxi --once
"""
)
@click.argument("url")
@click.argument("directory")
@click.option(
    "--model-name", "model_names", multiple=True, required=True, help="May be given repeatedly."
)
@click.option(
    "--keep", default=2, show_default=True, help="How many of the highest versions stay on disk."
)
@click.option(
    "--once", is_flag=True, help="Exit when up to date; exit code 1 if nothing can be served."
)
@click.option(
    "--poll-seconds", default=10.0, show_default=True, help="Between two looks at the bucket."
)
@click.option(
    "--settle-seconds",
    default=60.0,
    show_default=True,
    help="From a version in models.config to a label that moves to it; more than TensorFlow "
    "Serving's --model_config_file_poll_wait_seconds.",
)
@click.option(
    "--port", default=8502, show_default=True, help="Of /healthz, /readyz and /metrics; not --once."
)
def pull(
    url: str,
    directory: str,
    model_names: tuple[str, ...],
    keep: int,
    once: bool,
    poll_seconds: float,
    settle_seconds: float,
    port: int,
) -> None:
    """Keep DIRECTORY/<model>/<N>/ what the bucket at URL wants TensorFlow Serving to load.

    Every file is verified before its version appears, by one rename. What URL/models.config names
    is fetched, elsewhere the highest version; DIRECTORY/models.config says the same with local
    paths. What is served stays while the bucket cannot be reached. Ends on SIGTERM.
    """
    from tfx_shrink.puller.pull import pull as pull_versions

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    served = _until(
        stop,
        lambda: pull_versions(
            url,
            directory,
            model_names,
            keep=keep,
            once=once,
            poll_seconds=poll_seconds,
            settle_seconds=settle_seconds,
            port=None if once else port,
            stop=stop,
        ),
    )
    for name, version in served.items():
        click.echo(f"{name}: {version}")


def _until(stop: threading.Event, work: Callable[[], Any]) -> Any:
    """Works in a thread, so that a signal is heard while a request waits for its answer."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    while worker.is_alive() and not stop.is_set():
        worker.join(0.2)
    worker.join(_GRACE_SECONDS)
    if worker.is_alive():
        os._exit(0)  # What it was writing has no name that a server takes for a version.
    if failure:
        raise failure[0]
    return outcome[0]
