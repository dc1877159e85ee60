"""`tfx-shrink validate` and `tfx-shrink report`."""

import dataclasses
from typing import Any

import click

from tfx_shrink.commands.options import Integers, rows_options, together
from tfx_shrink.commands.output import json_option, print_json, quiet_import, quietly
from tfx_shrink.errors import ParameterError

_THRESHOLDS = (
    click.option("--max-bytes", type=int, help="The most bytes of its files."),
    click.option("--min-size-ratio", type=float, help="The baseline's bytes over its own."),
    click.option("--max-latency-ms", multiple=True, help="Such as p95=2 or p95@32=20; repeatable."),
    click.option("--min-speedup", type=float, help="The baseline's median time over its own."),
    click.option("--min-sparsity", type=float, help="Share of zeros in its weights."),
    click.option("--max-output-difference", type=float, help="From the baseline's outputs."),
    click.option("--max-quality-drop", type=float, help="By how much the metric may be worse."),
)
_SETTINGS = (
    rows_options,
    click.option("--label-key", help="The feature that holds the label."),
    click.option("--metric", default="accuracy", show_default=True, help="Or auc, or mse."),
    click.option("--output-name", help="The output that the metric reads. Default: the only one."),
    click.option("--slice-key", multiple=True, help="Quality for each of its values; repeatable."),
    click.option("--batch-sizes", type=Integers(), default="1,32", show_default=True),
    click.option("--num-examples", default=2000, show_default=True),
    click.option("--threads", default=1, show_default=True),
    click.option("--rounds", default=100, show_default=True, help="Samples of each model."),
    click.option("--seed", default=0, show_default=True),
    click.option("--time-limit", default=3600.0, show_default=True, help="Seconds of a process."),
)


@click.command(
    epilog="Example: tfx-shrink validate model_int8 model report --min-size-ratio 3"
    " --examples 'Split-eval/*'",
)
@click.argument("model_dir")
@click.argument("baseline_dir")
@click.argument("out")
@together(*_THRESHOLDS, *_SETTINGS)
@json_option
def validate(model_dir: str, baseline_dir: str, out: str, as_json: bool, **options: Any) -> None:
    """Judge the model in MODEL_DIR beside BASELINE_DIR; exit code 1 if it is not blessed.

    The report goes to OUT, a new directory. At least one threshold is needed.
    """
    with quiet_import():
        from tfx_shrink.efficiency_validator.settings import Thresholds
        from tfx_shrink.efficiency_validator.validate import validate as run_validate

    names = [field.name for field in dataclasses.fields(Thresholds)]
    thresholds = {name: options.pop(name) for name in names}
    thresholds["max_latency_ms"] = _limits(thresholds["max_latency_ms"])
    found = quietly(
        lambda: run_validate(
            model_dir,
            baseline_dir,
            out,
            thresholds=Thresholds(**thresholds),
            **_measured(options),
        )
    )
    if as_json:
        print_json({**dataclasses.asdict(found), "reasons": found.reasons})
    else:
        for check in found.checks:
            click.echo(f"{check.verdict:14} {check.name}: {check.measured} ({check.required})")
            if check.advice:
                click.echo(f"{'':14} {check.advice}")
        click.echo(f"report: {found.report}")
    if not found.blessed:
        raise click.ClickException("not blessed: " + "; ".join(found.reasons))


@click.command(
    epilog="Example: tfx-shrink report model_int8 model report --label-key label"
    " --examples 'Split-eval/*'",
)
@click.argument("model_dir")
@click.argument("baseline_dir")
@click.argument("out")
@together(*_SETTINGS)
def report(model_dir: str, baseline_dir: str, out: str, **options: Any) -> None:
    """Show the model in MODEL_DIR beside BASELINE_DIR: an HTML page and its JSON, in OUT."""
    with quiet_import():
        from tfx_shrink.efficiency_validator.validate import describe

    click.echo(quietly(lambda: describe(model_dir, baseline_dir, out, **_measured(options))))


def _measured(options: dict[str, Any]) -> dict[str, Any]:
    """Options as parameters."""
    return {"slice_keys": options.pop("slice_key"), **options}


def _limits(texts: tuple[str, ...]) -> dict[str, float] | None:
    limits = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name] = float(value)
        except ValueError as error:
            raise ParameterError(
                f"--max-latency-ms must be such as p95=2 or p95@32=20. Received: {text!r}."
            ) from error
    return limits or None
