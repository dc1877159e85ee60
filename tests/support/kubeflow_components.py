"""Small components that compiled pipelines of the tests are made of."""

import os

from tfx.dsl.component.experimental import container_component, placeholders
from tfx.orchestration.kubeflow.decorators import exit_handler
from tfx.types import standard_artifacts
from tfx.v1.dsl.components import (
    InputArtifact,
    OutputArtifact,
    OutputDict,
    Parameter,
    component,
)


@component
def Count(  # noqa: N802
    examples: InputArtifact[standard_artifacts.Examples],
    summary: OutputArtifact[standard_artifacts.Schema],
    minimum: Parameter[int] = 1,
) -> OutputDict(rows=int):
    """Counts the files of examples and says where it read them."""
    assert isinstance(minimum, int)
    rows = sum(len(names) for _, _, names in os.walk(examples.uri))
    os.makedirs(summary.uri, exist_ok=True)
    with open(os.path.join(summary.uri, "summary.txt"), "w") as file:
        file.write(f"span {examples.get_int_custom_property('span')}, {examples.split_names}")
    summary.set_int_custom_property("enough", int(rows >= minimum))
    summary.set_string_custom_property("read_from", examples.uri)
    return {"rows": rows}


@component
def Report(  # noqa: N802
    summary: InputArtifact[standard_artifacts.Schema],
    report: OutputArtifact[standard_artifacts.Schema],
    rows: Parameter[int],
):
    """Writes what it was given."""
    with open(os.path.join(summary.uri, "summary.txt")) as file:
        said = file.read()
    os.makedirs(report.uri, exist_ok=True)
    with open(os.path.join(report.uri, "report.txt"), "w") as file:
        file.write(f"{said}, rows {rows!r}")


@component
def Fail(  # noqa: N802
    examples: InputArtifact[standard_artifacts.Examples], code: Parameter[int]
):
    """Ends with an exit code."""
    print(f"nothing in {os.path.basename(examples.uri)}", flush=True)
    raise SystemExit(code)


@exit_handler
def Tell(final_status: Parameter[str], where: Parameter[str]):  # noqa: N802
    """Writes how the pipeline ended."""
    with open(where, "w") as file:
        file.write(final_status)


Shell = container_component.create_container_component(
    name="Shell",
    image="busybox",
    inputs={"examples": standard_artifacts.Examples},
    outputs={"made": standard_artifacts.Schema},
    parameters={"script": str},
    command=[
        *("sh", "-c"),
        placeholders.InputValuePlaceholder("script"),
        placeholders.InputUriPlaceholder("examples"),
        placeholders.OutputUriPlaceholder("made"),
    ],
)
