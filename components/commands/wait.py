"""`tfx-shrink wait-until-served`."""

import dataclasses

import click

from tfx_shrink.commands.output import json_option, print_json


@click.command(
    epilog="""\b
Examples:
  tfx-shrink wait-until-served serving:8500 --model-name digits --version 7
  tfx-shrink wait-until-served http://serving:8501 --model-name digits --version 7
"""
)
@click.argument("address")
@click.option("--model-name", required=True, help="What TensorFlow Serving calls it.")
@click.option("--version", type=int, required=True, help="The version that shall be AVAILABLE.")
@click.option("--timeout-seconds", default=600.0, show_default=True, help="When to give up.")
@json_option
def wait_until_served(
    address: str, model_name: str, version: int, timeout_seconds: float, as_json: bool
) -> None:
    """Wait until every TensorFlow Serving at ADDRESS serves a version; exit code 1 if it cannot.

    ADDRESS is host:port of gRPC, or http://host:port of REST; all pods behind a name are asked.
    """
    from tfx_shrink.serving.wait import wait_until_served as wait

    states = wait(address, model_name, version, timeout_seconds=timeout_seconds)
    if as_json:
        print_json([dataclasses.asdict(state) for state in states])
        return
    for state in states:
        click.echo(f"{state.server}: version {version} of {model_name} is {state.state}")
