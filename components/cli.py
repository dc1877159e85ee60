"""The command line: `tfx-shrink …`, the same functions that the components call."""

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from tfx_shrink.errors import ParameterError, ShrinkError
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


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


@main.command()
@click.argument("pipeline", type=click.Choice(["digits"]))
@click.option("--root", required=True, help="Directory of data, artifacts, metadata and logs.")
@click.option("--push-to", help="Root of the bucket. Default: file://ROOT/bucket.")
@click.option("--runner", type=click.Choice(["beam", "local"]), default="beam", show_default=True)
@_json
def run(pipeline: str, root: str, push_to: str | None, runner: str, as_json: bool) -> None:
    """Run a whole pipeline on this machine; exit code 1 if its model was not published."""
    click.echo("Loading TFX …", err=True)
    from tfx_shrink.pipelines.digits.run import run_digits
    from tfx_shrink.pipelines.digits.summary import format_table

    done = run_digits(root, push_to, runner=runner, say=lambda line: click.echo(line, err=True))
    if as_json:
        _print_json(dataclasses.asdict(done))
    else:
        click.echo(f"\n{format_table(done.models)}\n" if done.models else "")
        if done.verdict.pushed:
            click.echo(f"blessed and published: {done.verdict.destination}")
    if not done.verdict.pushed:
        raise click.ClickException(done.verdict.reason)


@main.command()
@click.argument("model_dir")
@click.argument("out")
@click.option("--scheme", required=True, help="Such as int8, weight_int8 or auto.")
@click.option("--examples", required=True, multiple=True, help="Glob of TFRecords; repeatable.")
@click.option("--transform-graph", help="Transform's output directory, for raw rows.")
@click.option("--schema", help="The rows' schema.pbtxt, for features that may be missing.")
@click.option("--signature-name", help="What to convert. Default: the first that converts.")
@click.option("--num-calibration-examples", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--time-limit", default=3600.0, show_default=True, help="Seconds of a conversion.")
@click.option(
    "--engine-batch-sizes", default="1", show_default=True, help="TensorRT: such as 1,32."
)
@click.option("--max-output-difference", type=float, help="Refuse a result that moved further.")
@click.option("--encode-sparsity", is_flag=True, help="TFLite's sparse format, for pruned weights.")
@click.option("--allow-select-tf-ops", is_flag=True, help="Keep operations that TFLite lacks.")
@click.option("--edge-recipe", type=click.File(), help="edge_recipe: a JSON file of entries.")
@click.option("--label-key", help="auto: the feature that holds the label.")
@click.option("--metric", help="auto: accuracy (the default), auc or mse.")
@click.option("--max-drop", type=float, help="auto: by how much the metric may be worse.")
@click.option("--drop-type", help="auto: absolute (the default) or relative.")
@click.option("--output-name", help="auto: the output that the metric looks at.")
@click.option("--ladder", help="auto: schemes to try, smallest first, separated by commas.")
@click.option("--report-examples", multiple=True, help="auto: glob of another split's TFRecords.")
@_json
def quantize(model_dir: str, out: str, as_json: bool, **parameters: Any) -> None:
    """Store the SavedModel in MODEL_DIR in fewer bits, prove it on real rows, write it to OUT."""
    from tfx_shrink.quantizer.schemes import AUTO, get_scheme

    if parameters["scheme"] != AUTO:
        get_scheme(parameters["scheme"])
    if parameters["edge_recipe"] is not None:
        parameters["edge_recipe"] = parameters["edge_recipe"].read()
    sizes = parameters["engine_batch_sizes"].split(",")
    parameters["engine_batch_sizes"] = [int(size) if size.isdigit() else 0 for size in sizes]
    options = {name: parameters.pop(name) for name in _SEARCH_OPTIONS}
    search = _search(parameters["scheme"], options)
    from tfx_shrink.quantizer.quantize import quantize as run_quantize

    done = _quietly(lambda: run_quantize(model_dir, out, search=search, **parameters))
    if as_json:
        _print_json(dataclasses.asdict(done))
        return
    click.echo(f"{out}: {done.scheme} of {done.source_signature or 'every signature'}")
    click.echo(f"  bytes              {done.source.bytes:,} -> {done.result.bytes:,}")
    click.echo(
        f"  output difference  max {done.difference.max:.3g}, p99 {done.difference.p99:.3g} "
        f"on {done.difference.rows} rows"
    )
    if search is not None:
        from tfx_shrink.lineage import read
        from tfx_shrink.quantizer.search import describe_search

        click.echo(describe_search(read(out)[-1]["search"]))


_SEARCH_OPTIONS = ("label_key", "metric", "max_drop", "drop_type", "ladder", "output_name")


def _search(scheme: str, options: dict[str, Any]) -> Any:
    from tfx_shrink.quantizer.schemes import AUTO
    from tfx_shrink.quantizer.settings import as_search

    given = {name: value for name, value in options.items() if value is not None}
    if given and scheme != AUTO:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ParameterError(f"{names} belong to --scheme auto. Received: --scheme {scheme}.")
    if "ladder" in given:
        given["ladder"] = given["ladder"].split(",")
    return as_search(given or None)


@main.command()
@click.argument("model_dir")
@_json
def inspect(model_dir: str, as_json: bool) -> None:
    """Show what the model in MODEL_DIR serves, what blocks each signature, and its bytes."""
    from tfx_shrink.inspection import format_inspection, inspect_model

    found = _quietly(lambda: inspect_model(model_dir))
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        click.echo(format_inspection(found))


def _quietly(work: Callable[[], Any]) -> Any:
    """Runs `work` without the warnings that libraries log while a person waits for a table."""
    import logging

    logging.disable(logging.WARNING)
    try:
        return work()
    finally:
        logging.disable(logging.NOTSET)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=1, default=str)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
