"""`tfx-shrink prune`."""

import dataclasses
from typing import Any

import click

from tfx_shrink.commands.options import rows_options
from tfx_shrink.commands.output import (
    json_option,
    print_difference,
    print_json,
    quiet_import,
    quietly,
)


@click.command(
    epilog="Example: tfx-shrink prune model sparse --target-sparsity 0.8"
    " --label-key label --examples 'Split-train/*'",
)
@click.argument("model_dir")
@click.argument("out")
@click.option("--target-sparsity", type=float, help="Share of zeros; channel: of channels to go.")
@rows_options
@click.option("--label-key", help="The feature that holds the label.")
@click.option(
    "--pattern",
    default="unstructured",
    show_default=True,
    help="Or block_1x4, 2_of_4, channel.",
)
@click.option("--schedule", default="polynomial", show_default=True, help="Or constant.")
@click.option("--scope", default="tensor", show_default=True, help="Or global.")
@click.option("--method", default="auto", show_default=True, help="Or fine_tune, one_shot.")
@click.option("--epochs", type=int, help="Passes over the rows. Default: 5.")
@click.option("--num-steps", type=int, help="Batches, instead of --epochs.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", type=float, help="Default: the model's own, else 0.001.")
@click.option("--loss", help="A Keras loss. Default: the model's own, else what the label needs.")
@click.option("--layers", multiple=True, help="Glob of layers to prune; repeatable. Default: all.")
@click.option("--skip-layers", multiple=True, help="Glob of layers to leave; repeatable.")
@click.option("--drop-signatures", multiple=True, help="channel: need not be kept; repeatable.")
@click.option("--strategy", default="one_device", show_default=True, help="Or mirrored.")
@click.option("--seed", default=0, show_default=True)
@click.option("--work-dir", help="Where a killed run finds its last epoch again.")
@click.option("--log-dir", help="TensorBoard's directory.")
@click.option("--module-path", help="Module with input_fn, compile_fn or signatures_fn.")
@click.option("--module-file", help="Python file with the same.")
@json_option
def prune(
    model_dir: str,
    out: str,
    as_json: bool,
    module_path: str | None,
    module_file: str | None,
    layers: tuple[str, ...],
    **parameters: Any,
) -> None:
    """Set weights of the SavedModel in MODEL_DIR to zero, prove it, and write the rest to OUT."""
    with quiet_import():
        from tfx_shrink.pruner.prune import USER_FUNCTIONS
        from tfx_shrink.pruner.prune import prune as run_prune
        from tfx_shrink.training.user_code import load_functions

    functions = load_functions(module_path, module_file, USER_FUNCTIONS)
    done = quietly(
        lambda: run_prune(
            model_dir, out, user_functions=functions, layers=list(layers) or None, **parameters
        )
    )
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    click.echo(f"{out}: {parameters['pattern']} by {done.method}: {done.method_reason}")
    click.echo(f"  sparsity           {done.sparsity:.3f} of {len(done.by_weight)} weights")
    click.echo(f"  bytes              {done.source.bytes:,} -> {done.result.bytes:,}")
    click.echo(f"  bytes after gzip   {done.source_gzip:,} -> {done.result_gzip:,}")
    print_difference(done.difference)
    for name, reason in done.skipped.items():
        click.echo(f"  not pruned         {name}: {reason}")
