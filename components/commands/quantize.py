"""`tfx-shrink quantize`."""

import dataclasses
from typing import Any

import click

from tfx_shrink.commands.options import Integers, rows_options
from tfx_shrink.commands.output import (
    json_option,
    print_difference,
    print_json,
    quiet_import,
    quietly,
)
from tfx_shrink.errors import ParameterError
from tfx_shrink.quantizer.schemes import AUTO, SCHEMES, get_scheme

_SEARCH_OPTIONS = ("label_key", "metric", "max_drop", "drop_type", "ladder", "output_name")


@click.command(
    epilog="Example: tfx-shrink quantize model model_int8 --scheme int8 --examples 'Split-train/*'"
)
@click.argument("model_dir")
@click.argument("out")
@click.option("--scheme", required=True, help=f"One of {', '.join([*SCHEMES, AUTO])}.")
@rows_options
@click.option("--signature-name", help="What to convert. Default: the first that converts.")
@click.option("--num-calibration-examples", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--time-limit", default=3600.0, show_default=True, help="Seconds of a conversion.")
@click.option(
    "--engine-batch-sizes",
    type=Integers(),
    default="1",
    show_default=True,
    help="TensorRT: such as 1,32.",
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
@json_option
def quantize(model_dir: str, out: str, as_json: bool, **parameters: Any) -> None:
    """Store the SavedModel in MODEL_DIR in fewer bits, prove it on real rows, write it to OUT."""
    if parameters["scheme"] != AUTO:
        get_scheme(parameters["scheme"])
    if parameters["edge_recipe"] is not None:
        parameters["edge_recipe"] = parameters["edge_recipe"].read()
    options = {name: parameters.pop(name) for name in _SEARCH_OPTIONS}
    search = _search(parameters["scheme"], options)
    with quiet_import():
        from tfx_shrink.measure.size import stripped_size
        from tfx_shrink.quantizer.quantize import quantize as run_quantize

    done = quietly(lambda: run_quantize(model_dir, out, search=search, **parameters))
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    click.echo(f"{out}: {done.scheme} of {done.source_signature or 'every signature'}")
    click.echo(f"  bytes              {done.source.bytes:,} -> {done.result.bytes:,}")
    served = quietly(lambda: stripped_size(model_dir).raw)
    if done.result.bytes < served:
        word = f"{served / done.result.bytes:.2f} times smaller than"
    else:
        word = "not smaller than (a small model's graph grows; --scheme strip keeps it)"
    click.echo(f"                     {word} the {served:,} bytes that serving needs of the source")
    print_difference(done.difference)
    if search is not None:
        from tfx_shrink.lineage import read
        from tfx_shrink.quantizer.search import describe_search

        click.echo(describe_search(read(out)[-1]["search"]))


def _search(scheme: str, options: dict[str, Any]) -> Any:
    from tfx_shrink.quantizer.settings import as_search

    given = {name: value for name, value in options.items() if value is not None}
    if given and scheme != AUTO:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ParameterError(f"{names} belong to --scheme auto. Received: --scheme {scheme}.")
    if "ladder" in given:
        given["ladder"] = given["ladder"].split(",")
    return as_search(given or None)
