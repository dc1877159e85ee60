"""The local launcher: what a cluster would do, seen on one machine."""

import json
import os

import pytest
import yaml
from support import kubeflow_pipelines as pipelines
from support.kubeflow_components import Tell
from tfx.orchestration.kubeflow.decorators import FinalStatusStr

from tfx_shrink.errors import ParameterError, RunError
from tfx_shrink.kubeflow.local_launcher import run_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner


def write(path, *documents):
    with open(path, "w") as file:
        yaml.safe_dump_all(documents, file)
    return str(path)


def run_shell(tmp_path, script, **settings):
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.shell(script))
    return run_compiled(
        path, str(tmp_path / "run"), as_processes=True, say=lambda line: None, **settings
    )


def test_a_task_sees_what_its_launcher_copied_and_leaves_what_it_made(tmp_path):
    stored = tmp_path / "run" / "store" / "minio" / "somewhere" / "examples"
    stored.mkdir(parents=True)
    (stored / "rows").write_text("17")
    done = run_shell(tmp_path, 'cat "$0/rows" > "$1"')
    found, shell = done.tasks
    assert (found.state, shell.state) == ("succeeded", "succeeded")
    made = shell.artifacts["made"]
    assert made["uri"].startswith("minio://mlpipeline/v2/artifacts/sample/")
    assert made["type"] == {"instanceSchema": ""}
    assert made["name"].isdigit()
    kept = tmp_path / "run" / "store" / made["uri"].replace("://", "/")
    assert kept.read_text() == "17"
    assert os.listdir(tmp_path / "run" / "pods") == []


def test_a_failing_task_is_named_with_its_code_and_last_words(tmp_path):
    with pytest.raises(RunError) as error:
        run_shell(tmp_path, "seq 100; echo the last word; exit 7")
    text = str(error.value)
    assert "Task shell failed with exit code 7" in text
    assert "\n100\nthe last word\n" in text
    assert "\n50\n" not in text
    log = tmp_path / "run" / "logs" / "shell.log"
    assert str(log) in text
    assert log.read_text().startswith("1\n2\n")


def test_a_killed_task_has_failed(tmp_path):
    with pytest.raises(RunError, match="Task shell failed with exit code -9"):
        run_shell(tmp_path, "kill -9 $$")


def test_nothing_runs_after_a_failing_task_but_the_exit_handler(tmp_path):
    status = tmp_path / "status.json"
    tell = Tell(final_status=FinalStatusStr(), where=str(status))
    runner = KubeflowRunner(str(tmp_path / "p.yaml"), exit_handler=tell)
    spec = runner.compile(pipelines.shell("exit 3"))[0]
    # A shell in the place of TFX's executor, to be quick.
    container = pipelines.container_of(spec, "exec-tell")
    container["command"] = ["sh", "-c", 'printf %s "$0" > "$1"']
    container["args"] = ["{{$.inputs.parameters['final_status']}}", str(status)]
    lines = []
    with pytest.raises(RunError, match="Task shell failed with exit code 3"):
        run_compiled(
            write(tmp_path / "p.yaml", spec),
            str(tmp_path / "run"),
            as_processes=True,
            say=lines.append,
        )
    told = json.loads(status.read_text())
    assert told == {
        "state": "FAILED",
        "pipelineTaskName": "tfx-dag",
        "pipelineJobResourceName": "local-run",
        "error": {},
    }
    assert [line.split()[0] for line in lines[1:]] == ["found", "shell", "tell"]


@pytest.mark.parametrize(
    ("enough", "states", "written"),
    [
        (1, ["succeeded", "succeeded", "succeeded"], "first\nsecond\n"),
        (0, ["succeeded", "skipped", "omitted"], ""),
    ],
)
def test_a_condition_that_is_not_met_skips_its_task_and_omits_the_next(
    tmp_path, enough, states, written
):
    marker = tmp_path / "marker"
    marker.touch()
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.gated(marker, enough))
    done = run_compiled(path, str(tmp_path / "run"), as_processes=True, say=lambda line: None)
    assert [task.state for task in done.tasks] == states
    assert marker.read_text() == written


def test_a_missing_runtime_parameter_is_named_before_anything_runs(tmp_path):
    made = pipelines.sample("/data", minimum=pipelines.runtime_minimum(default=None))
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(made)
    with pytest.raises(ParameterError, match="--parameter minimum=VALUE"):
        run_compiled(path, str(tmp_path / "run"), as_processes=True)
    with pytest.raises(ParameterError, match=r"'minimum' must be a NUMBER_INTEGER. Received: 'x'"):
        run_compiled(path, str(tmp_path / "run"), as_processes=True, parameters={"minimum": "x"})
    with pytest.raises(ParameterError, match=r"no runtime parameters \['maximum'\]"):
        run_compiled(path, str(tmp_path / "run"), as_processes=True, parameters={"maximum": 1})
    assert not (tmp_path / "run").exists()


def test_what_kfp_would_not_take_is_refused_as_kfp_does(tmp_path):
    spec = pipelines.compile_spec(pipelines.shell("true"))

    def refused(document, words):
        with pytest.raises(ParameterError, match=words):
            run_compiled(write(tmp_path / "x.yaml", document), str(tmp_path), as_processes=True)

    refused({"displayName": "p", "pipelineSpec": spec}, "unknown template format")
    refused({**spec, "schemaVersion": "2.0.0"}, "only supports schema version 2.1.0")
    refused({**spec, "surprise": 1}, 'no field named "surprise"')
    with pytest.raises(ParameterError, match="is not a file"):
        run_compiled(str(tmp_path / "none.yaml"), str(tmp_path))


def test_an_importer_without_a_provider_stops_the_run(tmp_path):
    spec = pipelines.compile_spec(pipelines.shell("true"))
    importer = spec["deploymentSpec"]["executors"]["exec-found"]["importer"]
    importer["artifactUri"]["constant"] = "file:///models"
    with pytest.raises(RunError, match="no provider scheme found"):
        run_compiled(write(tmp_path / "p.yaml", spec), str(tmp_path / "run"), as_processes=True)


def test_without_an_engine_containers_cannot_be_started(tmp_path, monkeypatch):
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.shell("true"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="--subprocess"):
        run_compiled(path, str(tmp_path / "run"))


def test_an_image_that_cannot_be_started_is_named(tmp_path, monkeypatch):
    engine = tmp_path / "bin" / "podman"
    engine.parent.mkdir()
    engine.write_text("#!/bin/sh\nexit 125\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(engine.parent), prepend=os.pathsep)
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.shell("true"))
    with pytest.raises(RunError, match="Task shell: the image none:1 cannot be started by podman"):
        run_compiled(path, str(tmp_path / "run"), image="none:1")


def test_a_secret_reaches_a_container_by_name_alone(tmp_path, monkeypatch):
    engine = tmp_path / "bin" / "podman"
    engine.parent.mkdir()
    engine.write_text('#!/bin/sh\necho "$@"\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(engine.parent), prepend=os.pathsep)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-value")
    platform = {
        "Shell": {
            "secrets": {"AWS_SECRET_ACCESS_KEY": "store/secret-key"},
            "volumes": {"/models": "models"},
        }
    }
    path = KubeflowRunner(str(tmp_path / "p.yaml"), platform=platform).run(pipelines.shell("true"))
    run_compiled(path, str(tmp_path / "run"), say=lambda line: None)
    said = (tmp_path / "run" / "logs" / "shell.log").read_text()
    assert "--env AWS_SECRET_ACCESS_KEY " in said
    assert f"--volume {tmp_path}/run/volumes/models:/models" in said
    assert "--read-only" in said
    assert "planted-value" not in said
