"""The entrypoint around TFX's executor; whole tasks run in test_sample_run.py."""

import json
import os

import pytest
from support import kubeflow_pipelines as pipelines
from tfx.v1.components import CsvExampleGen

from tfx_shrink.kubeflow import entrypoint
from tfx_shrink.kubeflow.launcher.driver import Scope, provision_outputs, resolve_inputs
from tfx_shrink.kubeflow.launcher.task import substitute
from tfx_shrink.kubeflow.uris import local_path
from tfx_shrink.tfx_seam import kubeflow_container


def command_line(spec, name, pod_root, root="minio://bucket"):
    """The arguments with which the launcher starts a task of `spec`, and its ExecutorInput."""
    task, component = pipelines.task_of(spec, name)
    made = {
        "inputs": resolve_inputs(name, task, component, Scope({"minimum": 1})),
        "outputs": provision_outputs(f"{root}/run", name, component, str(pod_root)),
    }
    arguments = pipelines.container_of(spec, component["executorLabel"])["args"]
    return substitute(arguments, made, str(pod_root)), made


def left_behind(made):
    with open(made["outputs"]["outputFile"]) as file:
        (examples,) = json.load(file)["artifacts"]["examples"]["artifacts"]
    return examples


def test_files_are_read_with_span_and_fingerprint(tmp_path):
    pipelines.write_rows(tmp_path / "data" / "span-2")
    spec = pipelines.compile_spec(pipelines.sample(tmp_path / "data", pattern="span-{SPAN}/*"))
    arguments, made = command_line(spec, "csvexamplegen", tmp_path / "pod")
    entrypoint.run_task(arguments, str(tmp_path / "pod"))
    examples = left_behind(made)
    assert examples["uri"] == made["outputs"]["artifacts"]["examples"]["artifacts"][0]["uri"]
    assert examples["metadata"]["custom:span"] == 2
    assert examples["metadata"]["input_fingerprint"].startswith("split:train,")
    assert str(tmp_path) not in json.dumps(examples)


def test_without_the_driver_spans_are_no_files(tmp_path):
    pipelines.write_rows(tmp_path / "data" / "span-2")
    spec = pipelines.compile_spec(pipelines.sample(tmp_path / "data", pattern="span-{SPAN}/*"))
    arguments, _ = command_line(spec, "csvexamplegen", tmp_path / "pod")
    arguments.remove("--run_example_gen_driver")
    with pytest.raises(Exception, match="SPAN"):
        entrypoint.run_task(arguments, str(tmp_path / "pod"))


def test_executors_that_keep_uris_get_no_path_of_the_pod(tmp_path, monkeypatch):
    seen = {}

    def run_executor(class_path, executor_input, inputs_spec, beam_args):
        seen.update(json.loads(executor_input), beam_args=beam_args)

    monkeypatch.setattr(kubeflow_container, "run_executor", run_executor)
    monkeypatch.setattr(kubeflow_container, "run_example_gen_driver", lambda *texts: None)
    monkeypatch.setattr(entrypoint, "_read", lambda path: "{}")
    made = pipelines.pipeline([CsvExampleGen(input_base="/data")], beam_pipeline_args=["--x=1"])
    spec = pipelines.compile_spec(made, pipeline_root="gs://bucket", keep_uris=True)
    arguments, task = command_line(spec, "csvexamplegen", tmp_path / "pod", "gs://bucket")
    entrypoint.run_task(arguments, str(tmp_path / "pod"))
    assert seen["beam_args"] == ["--x=1"]
    assert seen["outputs"]["outputFile"].startswith("gs://bucket/run/csvexamplegen/")
    assert str(tmp_path) not in json.dumps(seen)
    # KFP's launcher looks on the pod's disk.
    with open(task["outputs"]["outputFile"]) as file:
        assert json.load(file) == {}


def test_a_report_is_one_file_where_the_user_interface_looks_for_it(tmp_path, monkeypatch):
    def run_executor(class_path, executor_input, inputs_spec, beam_args):
        task = json.loads(executor_input)
        assert task["outputs"]["artifacts"].keys() == {"blessing", "report"}
        (report,) = task["outputs"]["artifacts"]["report"]["artifacts"]
        os.makedirs(report["uri"])
        for path, text in (
            (os.path.join(report["uri"], "report.html"), "<!DOCTYPE html>"),
            (task["outputs"]["outputFile"], "{}"),
        ):
            with open(path, "w") as file:
                file.write(text)

    monkeypatch.setattr(kubeflow_container, "run_executor", run_executor)
    spec = pipelines.compile_spec(pipelines.digits())
    _, component = pipelines.task_of(spec, "efficiencyvalidator")
    made = {
        "inputs": {"parameterValues": {}, "artifacts": {}},
        "outputs": provision_outputs(
            "minio://bucket/run", "efficiencyvalidator", component, str(tmp_path)
        ),
    }
    arguments = pipelines.container_of(spec, component["executorLabel"])["args"]
    position = arguments.index("--json_serialized_invocation_args")
    arguments[position + 1] = json.dumps(made)
    entrypoint.run_task(arguments, str(tmp_path))
    (page,) = made["outputs"]["artifacts"]["report_html"]["artifacts"]
    assert page["uri"].startswith("minio://bucket/run/efficiencyvalidator/")
    with open(local_path(page["uri"], str(tmp_path))) as file:
        assert file.read() == "<!DOCTYPE html>"
