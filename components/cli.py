"""The command line: `tfx-shrink …`, the same functions that the components call."""

import dataclasses
import os
import sys
from typing import Any

import click

from tfx_shrink.commands import bucket
from tfx_shrink.commands.distill import distill
from tfx_shrink.commands.export_status import export_status
from tfx_shrink.commands.output import json_option, print_json, quiet_import, quietly
from tfx_shrink.commands.prune import prune
from tfx_shrink.commands.pull import pull
from tfx_shrink.commands.quantize import quantize
from tfx_shrink.commands.serve_config import serve_config
from tfx_shrink.commands.validate import report, validate
from tfx_shrink.commands.wait import wait_until_served
from tfx_shrink.errors import ShrinkError
from tfx_shrink.kubeflow import commands as kubeflow
from tfx_shrink.version import __version__


class _Group(click.Group):
    """Turns errors that are meant for a person into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ShrinkError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Makes a trained TensorFlow model smaller, proves it, and delivers it."""
    # TFX, TFMA and the examples follow Keras 2; both are read when TensorFlow is imported.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # So that a dotted path may name a module of the directory that one is in.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


@main.command(epilog="Example: tfx-shrink run digits --root build/demo")
@click.argument("pipeline", type=click.Choice(["digits"]))
@click.option("--root", required=True, help="Directory of data, artifacts, metadata and logs.")
@click.option("--push-to", help="Root of the bucket. Default: file://ROOT/bucket.")
@click.option("--runner", type=click.Choice(["beam", "local"]), default="beam", show_default=True)
@json_option
def run(pipeline: str, root: str, push_to: str | None, runner: str, as_json: bool) -> None:
    """Run a whole pipeline on this machine; exit code 1 if its model was not published."""
    click.echo("Loading TFX …", err=True)
    with quiet_import():
        from tfx_shrink.pipelines.digits.run import run_digits
        from tfx_shrink.pipelines.digits.summary import format_table

    done = run_digits(root, push_to, runner=runner, say=lambda line: click.echo(line, err=True))
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        click.echo(f"\n{format_table(done.models)}\n" if done.models else "")
        if done.verdict.pushed:
            click.echo(done.verdict.summary)
        if done.verdict.report:
            click.echo(f"report: {done.verdict.report}")
    if not done.verdict.pushed:
        raise click.ClickException(done.verdict.reason)


@main.command(epilog="Example: tfx-shrink inspect model")
@click.argument("model_dir")
@json_option
def inspect(model_dir: str, as_json: bool) -> None:
    """Show what the model in MODEL_DIR serves, what blocks each signature, and its bytes."""
    with quiet_import():
        from tfx_shrink.inspection import format_inspection, inspect_model

    found = quietly(lambda: inspect_model(model_dir))
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        click.echo(format_inspection(found))


for command in (
    *(quantize, prune, distill, validate, report, *bucket.COMMANDS, pull, wait_until_served),
    *(serve_config, export_status),
    *kubeflow.COMMANDS,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
