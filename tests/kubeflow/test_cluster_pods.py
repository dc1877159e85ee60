"""Tasks as pods of a cluster; `make e2e-containers` runs them on a real one."""

import json
import os

import pytest
from support import kubeflow_pipelines as pipelines

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.local_launcher import run_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner

# The pod of this cluster is this machine.
KUBECTL = """\
#!/bin/sh
shift 2
echo "$@" >>"$TOLD/calls"
case "$*" in
  apply*) cat >"$TOLD/manifest" ;;
  wait*) exit "$NOT_READY" ;;
  get*) echo ErrImageNeverPull ;;
  "exec --stdin"*) cat >"$TOLD/copied_in" ;;
  exec*--create*) tar --create --files-from /dev/null ;;
  exec*) shift 3; exec "$@" ;;
esac
"""
PLATFORM = {
    "Shell": {
        "secrets": {"AWS_SECRET_ACCESS_KEY": "store/secret-key"},
        "volumes": {"/models": "models-claim", "/more": "minio"},
    }
}


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What kubectl was told."""
    path = tmp_path / "bin" / "kubectl"
    path.parent.mkdir()
    path.write_text(KUBECTL)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
    monkeypatch.setenv("TOLD", str(tmp_path))
    monkeypatch.setenv("NOT_READY", "0")
    return tmp_path


def run(tmp_path, script):
    path = KubeflowRunner(str(tmp_path / "p.yaml"), platform=PLATFORM).run(pipelines.shell(script))
    run_compiled(
        path, str(tmp_path / "run"), image="shrink:1", namespace="runs", say=lambda line: None
    )


def test_a_pod_meets_the_strictest_standard_of_kubernetes(told):
    run(told, "true")
    spec = json.loads((told / "manifest").read_text())["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] >= 100_000
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["image"] == "shrink:1"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {
        *("/gcs", "/s3", "/minio", "/tmp", "/models", "/more")
    }


def test_claims_and_secrets_are_those_of_the_namespace(told, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-value")
    run(told, "true")
    text = (told / "manifest").read_text()
    assert "planted-value" not in text + (told / "calls").read_text()
    spec = json.loads(text)["spec"]
    key = {"secretKeyRef": {"name": "store", "key": "secret-key"}}
    assert {"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": key} in spec["containers"][0]["env"]
    for number, name in enumerate(["models-claim", "minio"]):
        claim = {"persistentVolumeClaim": {"claimName": name}}
        assert {"name": f"claim-{number}", **claim} in spec["volumes"]
    names = [volume["name"] for volume in spec["volumes"]]
    assert len(set(names)) == len(names)


@pytest.mark.filterwarnings("error:Python 3.14 will:DeprecationWarning")  # tarfile's, since 3.12
@pytest.mark.parametrize("script", ["true", "exit 7"])
def test_a_pod_is_deleted_however_its_task_ended(script, told):
    if script == "true":
        run(told, script)
    else:
        with pytest.raises(RunError, match="Task shell failed with exit code 7"):
            run(told, script)
    name = json.loads((told / "manifest").read_text())["metadata"]["name"]
    last = (told / "calls").read_text().splitlines()[-1]
    assert last.startswith(f"delete pod {name}")


def test_an_image_that_no_node_has_is_named_with_the_reason(told, monkeypatch):
    monkeypatch.setenv("NOT_READY", "1")
    with pytest.raises(RunError, match=r"the image shrink:1 cannot be .*\n?.*ErrImageNeverPull"):
        run(told, "true")


def test_without_kubectl_no_pod_can_be_made(tmp_path, monkeypatch):
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.shell("true"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="kubectl was not found"):
        run_compiled(path, str(tmp_path / "run"), namespace="runs")
