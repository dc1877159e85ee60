"""Each mend: without it KFP fails as it does on a cluster, with it, it does not."""

import json

import pytest
from support import kubeflow_pipelines as pipelines
from support.kubeflow_components import Tell
from tfx.orchestration.kubeflow.decorators import FinalStatusStr

from tfx_shrink.errors import ParameterError, RunError
from tfx_shrink.kubeflow.launcher.compiled import check_spec, read_parameters
from tfx_shrink.kubeflow.launcher.conditions import holds
from tfx_shrink.kubeflow.launcher.driver import Scope, resolve_inputs
from tfx_shrink.kubeflow.launcher.task import substitute
from tfx_shrink.kubeflow.mends.conditions import read_conditions_from_inputs
from tfx_shrink.kubeflow.mends.containers import give_containers_local_paths
from tfx_shrink.kubeflow.mends.example_gen import never_cache_files, run_driver_in_the_container
from tfx_shrink.kubeflow.mends.names import argo_name, name_tasks_for_argo
from tfx_shrink.kubeflow.mends.parameters import (
    name_producers_of_values,
    pass_parameters_into_the_dag,
    type_values_as_their_producers,
)
from tfx_shrink.kubeflow.mends.reports import show_reports

COUNTED = {
    "artifacts": {"count": {"summary": {"uri": "minio://b/s", "metadata": {"enough": 1.0}}}},
    "values": {"count": {"rows": 276}},
}


def compiled(monkeypatch=None, *without, **settings):
    return pipelines.compile_spec(pipelines.sample("/data"), monkeypatch, *without, **settings)


def report_inputs(spec):
    task, component = pipelines.task_of(spec, "report-it")
    return resolve_inputs("report-it", task, component, Scope({}, **COUNTED))


def test_a_compiled_pipeline_is_one_that_kfp_takes():
    spec = compiled()
    check_spec(spec)
    assert set(spec["root"]["dag"]["tasks"]) == {"csvexamplegen", "count", "report-it"}
    assert spec["schemaVersion"] == "2.1.0"
    assert spec["defaultPipelineRoot"] == pipelines.ROOT


def test_tasks_have_names_that_argo_takes(monkeypatch):
    with pytest.raises(ParameterError, match="Task Report_It: invalid dependency name"):
        check_spec(compiled(monkeypatch, name_tasks_for_argo))
    assert argo_name("My.Trainer_2") == "my-trainer-2"


def test_the_producer_of_a_value_is_a_task(monkeypatch):
    with pytest.raises(ParameterError, match="unknown producer task 'count-task'"):
        check_spec(compiled(monkeypatch, name_producers_of_values, type_values_as_their_producers))


def test_a_value_keeps_its_producers_type(monkeypatch):
    assert report_inputs(compiled())["parameterValues"]["rows"] == 276
    spec = compiled(monkeypatch, type_values_as_their_producers)
    assert report_inputs(spec)["parameterValues"]["rows"] == "276"


def test_the_entrypoint_is_told_the_type_too():
    arguments = pipelines.container_of(compiled(), "exec-report-it")["args"]
    told = json.loads(arguments[arguments.index("--json_serialized_inputs_spec_args") + 1])
    assert told["parameters"]["rows"]["parameterType"] == "NUMBER_INTEGER"


def test_a_condition_on_an_input_finds_it(monkeypatch):
    def condition_holds(spec):
        task, _ = pipelines.task_of(spec, "report-it")
        return holds(task["triggerPolicy"]["condition"], {"inputs": report_inputs(spec)})

    assert condition_holds(compiled())
    with pytest.raises(RunError, match=r"no such key: _Count.summary"):
        condition_holds(compiled(monkeypatch, read_conditions_from_inputs))


def test_a_runtime_parameter_keeps_its_default():
    spec = compiled()
    assert read_parameters(spec, {}) == {"minimum": 1}
    del spec["root"]["inputDefinitions"]["parameters"]["minimum"]["defaultValue"]
    del spec["root"]["inputDefinitions"]["parameters"]["minimum"]["isOptional"]
    with pytest.raises(ParameterError, match=r"'minimum' .* yet has neither default value"):
        read_parameters(spec, {})


def test_tasks_under_an_exit_handler_get_runtime_parameters(monkeypatch):
    def count_inputs(spec):
        check_spec(spec)
        root = spec["root"]["dag"]["tasks"]["tfx-dag"]
        component = spec["components"][root["componentRef"]["name"]]
        given = resolve_inputs("tfx-dag", root, component, Scope({"minimum": 3}))
        task = component["dag"]["tasks"]["count"]
        examples = {"csvexamplegen": {"examples": {"uri": "minio://b/e", "metadata": {}}}}
        return resolve_inputs(
            "count",
            task,
            spec["components"][task["componentRef"]["name"]],
            Scope(given["parameterValues"], examples),
        )

    def tell():
        return Tell(final_status=FinalStatusStr(), where="/status")

    assert count_inputs(compiled(exit_handler=tell()))["parameterValues"]["minimum"] == 3
    with pytest.raises(RunError, match="parent DAG does not have input parameter minimum"):
        count_inputs(compiled(monkeypatch, pass_parameters_into_the_dag, exit_handler=tell()))


def test_files_are_never_taken_from_the_cache(monkeypatch):
    task, _ = pipelines.task_of(compiled(), "csvexamplegen")
    assert "cachingOptions" not in task
    task, _ = pipelines.task_of(compiled(), "count")
    assert task["cachingOptions"] == {"enableCache": True}
    task, _ = pipelines.task_of(compiled(monkeypatch, never_cache_files), "csvexamplegen")
    assert task["cachingOptions"] == {"enableCache": True}


def test_the_driver_of_files_runs_in_the_container(monkeypatch):
    container = pipelines.container_of(compiled(), "exec-csvexamplegen")
    assert "--run_example_gen_driver" in container["args"]
    assert "lifecycle" not in container
    container = pipelines.container_of(
        compiled(monkeypatch, run_driver_in_the_container), "exec-csvexamplegen"
    )
    assert "--run_example_gen_driver" not in container["args"]


def test_containers_get_paths_that_they_can_open(monkeypatch):
    def command(spec):
        task = {
            "inputs": {
                "artifacts": {"examples": {"artifacts": [{"uri": "minio://b/in"}]}},
                "parameterValues": {"script": "true"},
            },
            "outputs": {
                "artifacts": {"made": {"artifacts": [{"uri": "minio://b/out"}]}},
                "parameters": {},
            },
        }
        return substitute(pipelines.container_of(spec, "exec-shell")["command"], task, "/")

    made = pipelines.shell("true")
    assert command(pipelines.compile_spec(made)) == [
        "sh",
        "-c",
        "true",
        "/minio/b/in",
        "/minio/b/out",
    ]
    spec = pipelines.compile_spec(pipelines.shell("true"), monkeypatch, give_containers_local_paths)
    assert command(spec)[3:] == ["minio://b/in", "minio://b/out"]


def test_a_report_has_an_output_that_the_user_interface_shows(monkeypatch):
    def outputs(*without):
        spec = pipelines.compile_spec(pipelines.digits(), monkeypatch, *without)
        _, component = pipelines.task_of(spec, "efficiencyvalidator")
        return component["outputDefinitions"]["artifacts"]

    html = {"schemaTitle": "system.HTML", "schemaVersion": "0.0.1"}
    assert outputs()["report_html"] == {"artifactType": html}
    assert outputs(show_reports).keys() == {"blessing", "report"}
