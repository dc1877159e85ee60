"""`tfx-shrink compile | run-compiled | submit`."""

import dataclasses
import importlib.util
import os
from typing import Any

import click

from tfx_shrink.commands.output import json_option, print_json, quiet_import
from tfx_shrink.errors import ParameterError

_parameter_option = click.option(
    "--parameter",
    "parameters",
    multiple=True,
    help="NAME=VALUE of a runtime parameter; repeatable.",
)


@click.command("compile", epilog="Example: tfx-shrink compile digits --output digits.yaml")
@click.argument("pipeline")
@click.option("--output", required=True, help="The .yaml file to write.")
@click.option("--image", help="What the containers run. Default: tfx-shrink:VERSION.")
@click.option(
    "--pipeline-root",
    help="gs://, s3:// or minio://. Default: the pipeline's; digits: KFP's own.",
)
@click.option("--data", help="digits: folder of digits.csv. Default: written beside the file.")
@click.option("--push-to", help="digits: root of the bucket. Default: a folder beside the file.")
@click.option("--platform", help="YAML file: volumes, secrets, GPUs … of each component.")
def compile_pipeline(
    pipeline: str,
    output: str,
    image: str | None,
    pipeline_root: str | None,
    data: str | None,
    push_to: str | None,
    platform: str | None,
) -> None:
    """Compile PIPELINE for open-source Kubeflow Pipelines 2.x.

    PIPELINE is digits, or the dotted path of a function that returns a TFX pipeline.
    """
    _require_kfp()
    with quiet_import():
        from tfx_shrink.kubeflow.pipelines import digits_pipeline, load_pipeline
        from tfx_shrink.kubeflow.pod_needs import pod_needs
        from tfx_shrink.kubeflow.runner import DEFAULT_IMAGE, KubeflowRunner

    settings = _read_platform(platform)
    if pipeline == "digits":
        made = digits_pipeline(output, data, push_to, pipeline_root)
    elif data or push_to:
        raise ParameterError("--data and --push-to are the digits pipeline's.")
    else:
        made = load_pipeline(pipeline)
    runner = KubeflowRunner(
        output, image=image or DEFAULT_IMAGE, pipeline_root=pipeline_root, platform=settings
    )
    click.echo(f"compiled: {runner.run(made)}")
    if image is None:
        click.echo(f"  on the cluster, every task runs in the image {DEFAULT_IMAGE} (--image)")
    for need in pod_needs(made, settings):
        click.echo(f"  on the cluster, {need}")


@click.command("run-compiled", epilog="Example: tfx-shrink run-compiled digits.yaml --subprocess")
@click.argument("file")
@click.option("--image", help="Takes the place of the compiled images.")
@click.option("--subprocess", "as_processes", is_flag=True, help="No containers: plain processes.")
@click.option("--namespace", help="Tasks are pods there, on the cluster that KUBECONFIG names.")
@click.option("--root", help="Directory of objects and logs. Default: FILE without .yaml, -run.")
@_parameter_option
@json_option
def run_compiled(
    file: str,
    image: str | None,
    as_processes: bool,
    namespace: str | None,
    root: str | None,
    parameters: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run the compiled FILE without KFP, as KFP 2.17 would; exit code 1 if a task fails."""
    _require_kfp()
    from tfx_shrink.kubeflow.local_launcher import run_compiled as run

    if image and as_processes:
        raise ParameterError("Give --image or --subprocess: processes have no image.")
    if namespace and as_processes:
        raise ParameterError("Give --namespace or --subprocess: processes run on this machine.")
    done = run(
        file,
        root or f"{os.path.splitext(file)[0]}-run",
        image=image,
        as_processes=as_processes,
        namespace=namespace,
        parameters=parse_parameters(parameters),
        say=lambda line: click.echo(line, err=True),
    )
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        click.echo(done.said or "every task succeeded; nothing in the pipeline pushes")


@click.command(epilog="Example: tfx-shrink submit digits.yaml --endpoint http://localhost:8888")
@click.argument("file")
@click.option("--endpoint", help="URL of the API server. Default: $KF_PIPELINES_ENDPOINT.")
@click.option("--namespace", help="The user's, where Kubeflow has several.")
@click.option("--experiment", help="What the run is filed under; made if missing.")
@click.option("--run-name", help="Default: the file's name and the time.")
@click.option("--pipeline-root", help="gs://, s3:// or minio://. Default: what was compiled.")
@click.option("--service-account", help="What the run's pods run as.")
@click.option("--no-cache", is_flag=True, help="Run every task, also those that did not change.")
@click.option("--no-wait", is_flag=True, help="Do not wait for the end of the run.")
@_parameter_option
@json_option
def submit(
    file: str,
    no_cache: bool,
    no_wait: bool,
    parameters: tuple[str, ...],
    as_json: bool,
    **where: Any,
) -> None:
    """Submit the compiled FILE to Kubeflow Pipelines; exit code 1 if its run does not succeed."""
    _require_kfp()
    from tfx_shrink.kubeflow.submit import submit as submit_file

    done = submit_file(
        file,
        parameters=parse_parameters(parameters),
        cache=not no_cache,
        wait=not no_wait,
        say=lambda line: click.echo(line, err=True),
        **where,
    )
    if as_json:
        print_json(dataclasses.asdict(done))
    else:
        click.echo(done.said or f"run {done.run_id}: {(done.state or 'submitted').lower()}")


COMMANDS = (compile_pipeline, run_compiled, submit)


def parse_parameters(texts: tuple[str, ...]) -> dict[str, str]:
    """Returns `{name: value}` of texts such as `name=value`.

    Raises:
      ParameterError: A text has no `=`.
    """
    for text in texts:
        if "=" not in text:
            raise ParameterError(f"--parameter must be NAME=VALUE. Received: {text!r}.")
    return dict(text.split("=", 1) for text in texts)


def _require_kfp() -> None:
    if importlib.util.find_spec("kfp") is None:
        raise ParameterError("This needs the package kfp: pip install 'tfx-shrink[kfp]'.")


def _read_platform(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.safe_load(file) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"--platform {path} cannot be read: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(item, dict) for item in found.values()):
        raise ParameterError(f"--platform {path} must map component ids to settings.")
    return found
