"""Between KFP's driver and TFX: without each step TFX stops, or metadata is lost."""

import os

import pytest
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from support import kubeflow_pipelines as pipelines
from tfx.dsl.io import fileio
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as tfx_utils

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow import executor_input as messages
from tfx_shrink.kubeflow.launcher.driver import (
    MetadataStore,
    Scope,
    provision_outputs,
    resolve_inputs,
)
from tfx_shrink.kubeflow.uris import local_path, remote_uri


@pytest.fixture(scope="module")
def spec():
    return pipelines.compile_spec(pipelines.sample("/data"))


@pytest.fixture
def count(spec):
    """The ExecutorInput of a task in the middle of a pipeline, and its inputs spec."""
    task, component = pipelines.task_of(spec, "count")
    examples = MetadataStore().record("examples", "minio://b/examples", {"span": 7.0})
    scope = Scope({"minimum": 1}, {"csvexamplegen": {"examples": examples}})
    made = {
        "inputs": resolve_inputs("count", task, component, scope),
        "outputs": provision_outputs("minio://b/run", "count", component, "/"),
    }
    return made, component["inputDefinitions"]


def parse(task, side):
    message = json_format.ParseDict(task, pipeline_spec_pb2.ExecutorInput())
    return tfx_utils.parse_raw_artifact_dict(getattr(message, side).artifacts)


def test_tfx_does_not_meet_the_log_that_kfp_adds(count):
    task, _ = count
    with pytest.raises(ImportError, match=r"system.Artifact"):
        parse(task, "outputs")
    messages.drop_launcher_outputs(task)
    assert set(parse(task, "outputs")) == {"summary", "rows"}


def test_artifacts_have_their_types_again(count):
    task, inputs_spec = count
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'get'"):
        parse(task, "inputs")
    messages.restore_types(task, inputs_spec)
    (examples,) = parse(task, "inputs")["examples"]
    assert examples.type_name == "Examples"
    assert examples.span == 7
    assert examples.get_string_custom_property("display_name") == "examples"


def test_uris_become_paths_that_tfx_can_open(count, tmp_path):
    task, inputs_spec = count
    with pytest.raises(Exception, match="File system scheme 'minio' not implemented"):
        fileio.exists("minio://b/examples")
    messages.restore_types(task, inputs_spec)
    messages.drop_launcher_outputs(task)
    messages.map_to_local(task, str(tmp_path))
    (examples,) = parse(task, "inputs")["examples"]
    assert examples.uri == f"{tmp_path}/minio/b/examples"
    assert not fileio.exists(examples.uri)


def test_a_value_that_is_a_file_has_its_directory(count, tmp_path):
    task, _ = count
    messages.drop_launcher_outputs(task)
    messages.map_to_local(task, str(tmp_path))
    rows = task["outputs"]["artifacts"]["rows"]["artifacts"][0]["uri"]
    assert not os.path.isdir(os.path.dirname(rows))
    messages.make_parents(task)
    with open(rows, "w") as file:
        file.write("3")


def test_what_the_driver_found_stands_on_the_output(count):
    task, _ = count
    messages.drop_launcher_outputs(task)
    found = {"span": 3.0, "input_fingerprint": "f", "version": None}
    messages.take_driver_metadata(
        task, {"artifacts": {"summary": {"artifacts": [{"metadata": found}]}}}
    )
    metadata = task["outputs"]["artifacts"]["summary"]["artifacts"][0]["metadata"]
    assert metadata == {"span": 3.0, "input_fingerprint": "f"}


def test_nothing_that_leaves_the_container_is_a_path_of_it():
    metadata = {
        "current_model": "/minio/b/trainer/1/model",
        "all": ["/gcs/b/x", {"deep": "/s3/b/y"}],
        "elsewhere": "/mnt/models",
        "none": None,
    }
    made = {"artifacts": {"model": {"artifacts": [{"uri": "/minio/b/m", "metadata": metadata}]}}}
    with pytest.raises(RunError, match="null metadata"):
        MetadataStore().record("model", "minio://b/m", metadata)
    messages.map_to_remote(made, "/")
    (artifact,) = made["artifacts"]["model"]["artifacts"]
    assert artifact == {
        "uri": "minio://b/m",
        "metadata": {
            "current_model": "minio://b/trainer/1/model",
            "all": ["gs://b/x", {"deep": "s3://b/y"}],
            "elsewhere": "/mnt/models",
        },
    }
    MetadataStore().record("model", "minio://b/m", artifact["metadata"])


@pytest.mark.parametrize("uri", ["gs://b/x", "s3://b/x/y", "minio://mlpipeline/v2/artifacts"])
@pytest.mark.parametrize("pod_root", ["/", "/tmp/pod"])
def test_paths_and_uris_turn_into_each_other(uri, pod_root):
    path = local_path(uri, pod_root)
    assert os.path.isabs(path)
    assert remote_uri(path, pod_root) == uri
    assert local_path("/data", pod_root) == "/data"
