"""`tfx-shrink serve-config`."""

import dataclasses
from typing import TextIO

import click

from tfx_shrink.commands.output import json_option, print_json


@click.command(
    "serve-config",
    epilog="""\b
Examples:
  tfx-shrink serve-config gs://models/prod --model-name digits --out overlays/mine
  tfx-shrink serve-config s3://models/prod --model-name digits --served-from /models
""",
)
@click.argument("url")
@click.option(
    "--model-name", "model_names", multiple=True, required=True, help="May be given repeatedly."
)
@click.option("--out", default=".", show_default=True, help="The directory to write to.")
@click.option("--served-from", help="Where servers load from; default: from the bucket itself.")
@click.option(
    "--manifests",
    type=click.File(),
    help="Rendered manifests, or -: refuse those whose server would export no metrics.",
)
@json_option
def serve_config(
    url: str,
    model_names: tuple[str, ...],
    out: str,
    served_from: str | None,
    manifests: TextIO | None,
    as_json: bool,
) -> None:
    """Write models.config, monitoring.config and batching.config for the models below URL."""
    from tfx_shrink.serving.exported import check_manifests
    from tfx_shrink.serving.serve_config import serve_config as write

    if manifests is not None:
        for name in check_manifests(manifests.read()):
            click.echo(f"{name} exports metrics", err=True)
    done = write(url, model_names, out, served_from=served_from)
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    for path in done.files:
        click.echo(f"written: {path}")
    for name, versions in done.versions.items():
        click.echo(f"{name}: {', '.join(map(str, versions))}")
    click.echo(f"tensorflow_model_server {' '.join(done.flags)}")
