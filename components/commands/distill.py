"""`tfx-shrink distill`."""

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
from tfx_shrink.errors import ParameterError


@click.command(
    epilog="Example: tfx-shrink distill teacher student --module-path digits.student"
    " --label-key label --examples 'Split-train/*'",
)
@click.argument("teacher_dir")
@click.argument("out")
@click.option("--module-path", help="Module with student_fn, input_fn or signatures_fn.")
@click.option("--module-file", help="Python file with the same.")
@click.option("--student", help="auto: the teacher, narrower; instead of a student_fn.")
@click.option("--width", type=float, help="auto: by what hidden layers' widths are multiplied.")
@rows_options
@click.option("--eval-examples", multiple=True, help="Glob of rows not trained on; repeatable.")
@click.option("--label-key", help="The feature that holds the label; rows may lack it.")
@click.option("--signature-name", help="What to learn from. Default: the first that reads rows.")
@click.option("--temperature", default=4.0, show_default=True, help="Divides logits.")
@click.option("--alpha", default=0.1, show_default=True, help="Weight of the hard label.")
@click.option("--loss", default="kl", show_default=True, help="Or mse, feature.")
@click.option("--feature-pair", multiple=True, help="feature: TEACHER_LAYER=STUDENT_LAYER.")
@click.option("--epochs", type=int, help="Passes over the rows. Default: 10.")
@click.option("--num-steps", type=int, help="Batches, instead of --epochs.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--learning-rate", default=1e-3, show_default=True)
@click.option("--patience", type=int, help="Epochs without a lower loss on --eval-examples.")
@click.option("--teacher-pass", default="cached", show_default=True, help="Or in_step.")
@click.option("--control", is_flag=True, help="Train the student on hard labels alone too.")
@click.option("--drop-signatures", multiple=True, help="Need not be kept; repeatable.")
@click.option("--strategy", default="one_device", show_default=True, help="Or mirrored.")
@click.option("--seed", default=0, show_default=True)
@click.option("--work-dir", help="Where a killed run finds soft targets and last epoch again.")
@click.option("--log-dir", help="TensorBoard's directory.")
@json_option
def distill(
    teacher_dir: str,
    out: str,
    as_json: bool,
    module_path: str | None,
    module_file: str | None,
    student: str | None,
    eval_examples: tuple[str, ...],
    feature_pair: tuple[str, ...],
    **parameters: Any,
) -> None:
    """Train a small student to answer as the model in TEACHER_DIR does, and write it to OUT."""
    with quiet_import():
        from tfx_shrink.distiller.distill import USER_FUNCTIONS
        from tfx_shrink.distiller.distill import distill as run_distill
        from tfx_shrink.distiller.settings import AUTO
        from tfx_shrink.distiller.student import bind_student
        from tfx_shrink.tfx_seam.user_modules import make_fn_args
        from tfx_shrink.training.user_code import load_functions

    if student not in (None, AUTO):
        raise ParameterError(f"--student must be {AUTO} or left out. Received: {student!r}.")
    functions = load_functions(module_path, module_file, USER_FUNCTIONS)
    student_fn = functions.pop("student_fn", None)
    rows = {
        "examples": parameters.pop("examples"),
        "eval_examples": eval_examples or None,
        "transform_graph": parameters.pop("transform_graph"),
        "schema": parameters.pop("schema"),
    }
    fn_args = make_fn_args(
        [],
        **rows,
        base_model=teacher_dir,
        train_steps=parameters["num_steps"],
        model_run_dir=parameters["log_dir"],
    )
    parameters["student"] = student or bind_student(student_fn, fn_args)
    parameters["feature_pairs"] = dict(map(_pair, feature_pair)) or None
    done = quietly(
        lambda: run_distill(teacher_dir, out, **rows, user_functions=functions, **parameters)
    )
    if as_json:
        print_json(dataclasses.asdict(done))
        return
    share = done.teacher_parameters / done.student_parameters
    click.echo(f"{out}: {done.facts['loss_taken']} from {done.facts['teacher_function']}")
    click.echo(
        f"  parameters         {done.teacher_parameters:,} -> {done.student_parameters:,} "
        f"(1/{share:.1f})"
    )
    click.echo(f"  bytes              {done.source.bytes:,} -> {done.result.bytes:,}")
    click.echo(f"  bytes after gzip   {done.source_gzip:,} -> {done.result_gzip:,}")
    print_difference(done.difference)
    for name in ("teacher", "student", "control"):
        if name in done.quality:
            click.echo(f"  {done.quality['metric']:<18} {name} {done.quality[name]:.4f}")


def _pair(text: str) -> tuple[str, str]:
    teacher, separator, student = text.partition("=")
    if not separator:
        raise ParameterError(
            f"--feature-pair must be TEACHER_LAYER=STUDENT_LAYER. Received: {text!r}."
        )
    return teacher, student
