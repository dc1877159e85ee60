"""`tfx-shrink export-status`."""

import logging
import signal
import sys
import threading

import click


@click.command(
    "export-status",
    epilog="""\b
Example:
  tfx-shrink export-status tfserving-pods:8500 --model-name digits --bucket s3://models/prod
""",
)
@click.argument("address")
@click.option(
    "--model-name", "model_names", multiple=True, required=True, help="May be given repeatedly."
)
@click.option("--bucket", help="Root of the bucket: says which versions shall be served.")
@click.option("--port", default=8503, show_default=True, help="Of /metrics.")
@click.option("--poll-seconds", default=15.0, show_default=True, help="Between two questions.")
def export_status(
    address: str, model_names: tuple[str, ...], bucket: str | None, port: int, poll_seconds: float
) -> None:
    """Export to Prometheus which version every TensorFlow Serving at ADDRESS serves.

    ADDRESS is host:port of gRPC; all pods behind a name are asked. Ends on SIGTERM.
    """
    from tfx_shrink.serving.export_status import export_status as export

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    export(address, model_names, bucket=bucket, port=port, poll_seconds=poll_seconds, stop=stop)
