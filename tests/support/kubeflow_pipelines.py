"""Pipelines that are compiled for Kubeflow in tests, and parts of their compiled form."""

import os

from tfx import v1 as tfx
from tfx.types import standard_artifacts

from support.kubeflow_components import Count, Fail, Report, Shell
from tfx_shrink.kubeflow import mends
from tfx_shrink.kubeflow.runner import KubeflowRunner
from tfx_shrink.pipelines.digits.pipeline import create_digits_pipeline

ROOT = "minio://mlpipeline/v2/artifacts"


def pipeline(components, root=ROOT, name="sample", **settings):
    return tfx.dsl.Pipeline(
        pipeline_name=name, pipeline_root=root, components=components, **settings
    )


def write_rows(directory, rows=12):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "rows.csv"), "w") as file:
        file.write("a,b\n" + "".join(f"{row},{row * 2}\n" for row in range(rows)))
    return str(directory)


def digits(root=ROOT, **settings):
    return create_digits_pipeline(
        "/nowhere", "file:///bucket", data="/data", pipeline_root=root, **settings
    )


def runtime_minimum(default=1):
    return tfx.dsl.experimental.RuntimeParameter(name="minimum", ptype=int, default=default)


def sample(data, minimum=None, pattern=None):
    """Three tasks that meet nearly everything that must be mended.

    A driver, a runtime parameter, a value of another task, an id with an underscore, and a
    condition on what is an input too.
    """
    splits = None
    if pattern is not None:
        splits = tfx.proto.Input(splits=[tfx.proto.Input.Split(name="train", pattern=pattern)])
    read = tfx.components.CsvExampleGen(input_base=str(data), input_config=splits)
    count = Count(
        examples=read.outputs["examples"],
        minimum=runtime_minimum() if minimum is None else minimum,
    )
    enough = count.outputs["summary"].future()[0].custom_property("enough") == 1
    with tfx.dsl.Cond(enough):
        report = Report(
            summary=count.outputs["summary"], rows=count.outputs["rows"].future()[0].value
        ).with_id("Report_It")
    return pipeline([read, count, report], enable_cache=True)


def shell(script, examples="minio://somewhere/examples", name="Shell"):
    """An Importer and one container that runs a script with the two artifacts as $0 and $1."""
    found = tfx.dsl.Importer(
        source_uri=examples, artifact_type=standard_artifacts.Examples
    ).with_id("Found")
    return pipeline([found, Shell(examples=found.outputs["result"], script=script).with_id(name)])


def failing(code):
    found = tfx.dsl.Importer(
        source_uri=tfx.dsl.experimental.RuntimeParameter(name="where", ptype=str),
        artifact_type=standard_artifacts.Examples,
    ).with_id("Found")
    return pipeline([found, Fail(examples=found.outputs["result"], code=code)])


def gated(marker, enough):
    """Two containers in a row, of which the first stands under a condition on imported data."""
    found = tfx.dsl.Importer(
        source_uri="minio://somewhere/examples",
        artifact_type=standard_artifacts.Examples,
        custom_properties={"enough": enough},
    ).with_id("Found")
    examples = found.outputs["result"]
    with tfx.dsl.Cond(examples.future()[0].custom_property("enough") == 1):
        first = Shell(examples=examples, script=f"echo first >> {marker}").with_id("First")
    second = Shell(examples=examples, script=f"echo second >> {marker}").with_id("Second")
    second.add_upstream_node(first)
    return pipeline([found, first, second])


def compile_documents(made, monkeypatch=None, *without, **settings):
    """The documents of a pipeline's compiled file; some mends may be left out."""
    if without:
        assert set(without) <= set(mends.MENDS)
        rest = tuple(mend for mend in mends.MENDS if mend not in without)
        monkeypatch.setattr(mends, "MENDS", rest)
    return KubeflowRunner("unused.yaml", **settings).compile(made)


def compile_spec(made, monkeypatch=None, *without, **settings):
    return compile_documents(made, monkeypatch, *without, **settings)[0]


def task_of(spec, name):
    """A task of the root, and its component."""
    task = spec["root"]["dag"]["tasks"][name]
    return task, spec["components"][task["componentRef"]["name"]]


def container_of(spec, label):
    return spec["deploymentSpec"]["executors"][label]["container"]


def two_tasks():
    """A pipeline whose root is a directory, as one that was written for a local runner."""
    made = shell("true")
    made.pipeline_info.pipeline_root = "/artifacts"
    return made
