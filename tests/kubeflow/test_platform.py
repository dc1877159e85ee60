"""The second document: what Kubernetes gives to each component."""

import pytest
import yaml
from support import kubeflow_pipelines as pipelines

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.launcher.compiled import check_spec, read_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner

EVERYTHING = {
    "*": {"secrets": {"AWS_SECRET_ACCESS_KEY": "seaweedfs/secret-key"}},
    "Count": {
        "volumes": {"/models": "models"},
        "cpu": (1, 2),
        "memory": 4,
        "gpus": 1,
        "node_selector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    },
}


def test_every_setting_reaches_the_component_that_it_names():
    spec, document = pipelines.compile_documents(pipelines.sample("/data"), platform=EVERYTHING)
    check_spec(spec)
    executors = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    secret = {
        "secretName": "seaweedfs",
        "secretNameParameter": {"runtimeValue": {"constant": "seaweedfs"}},
        "keyToEnv": [{"secretKey": "secret-key", "envVar": "AWS_SECRET_ACCESS_KEY"}],
    }
    assert set(executors) == {"exec-csvexamplegen", "exec-count", "exec-report-it"}
    assert executors["exec-csvexamplegen"] == {"secretAsEnv": [secret]}
    assert executors["exec-count"] == {
        "secretAsEnv": [secret],
        "pvcMount": [
            {
                "mountPath": "/models",
                "constant": "models",
                "pvcNameParameter": {"runtimeValue": {"constant": "models"}},
            }
        ],
        "nodeSelector": {"labels": {"disk": "ssd"}},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
    }
    assert pipelines.container_of(spec, "exec-count")["resources"] == {
        "cpuRequest": 1.0,
        "cpuLimit": 2.0,
        "memoryRequest": 4.0,
        "memoryLimit": 4.0,
        "accelerator": {"type": "nvidia.com/gpu", "count": "1"},
    }
    assert "resources" not in pipelines.container_of(spec, "exec-report-it")


def test_nothing_is_written_where_nothing_was_asked_for():
    assert len(pipelines.compile_documents(pipelines.sample("/data"))) == 1


def test_both_documents_stand_in_one_file(tmp_path):
    path = str(tmp_path / "sub" / "pipeline.yaml")
    assert KubeflowRunner(path, platform=EVERYTHING).run(pipelines.sample("/data")) == path
    spec, platform = read_compiled(path)
    assert spec["pipelineInfo"]["name"] == "sample"
    assert "pvcMount" in platform["exec-count"]
    with open(path) as file:
        assert file.readline() == "# PIPELINE DEFINITION\n"
        assert len(list(yaml.safe_load_all(file))) == 2


def test_a_secret_itself_is_refused_and_not_repeated():
    planted = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
    with pytest.raises(ParameterError, match="AWS_SECRET_ACCESS_KEY") as error:
        pipelines.compile_spec(
            pipelines.sample("/data"),
            platform={"*": {"secrets": {"AWS_SECRET_ACCESS_KEY": planted}}},
        )
    assert planted not in str(error.value)


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ({"Counter": {"gpus": 1}}, "names \\['Counter'\\]"),
        ({"Count": {"env": {"A": "b"}}}, "Received: \\['env'\\]"),
        ({"Count": {"volumes": {"models": "claim"}}}, "absolute paths. Received: 'models'"),
        ({"Count": {"tolerations": [{"name": "x"}]}}, "Received: \\['name'\\]"),
    ],
)
def test_what_is_not_known_is_refused(platform, words):
    with pytest.raises(ParameterError, match=words):
        pipelines.compile_spec(pipelines.sample("/data"), platform=platform)
