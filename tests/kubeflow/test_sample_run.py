"""Three tasks, compiled and run as KFP would: TFX itself, in processes of its own."""

import os
from pathlib import Path

import pytest
from support import kubeflow_pipelines as pipelines

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.local_launcher import run_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner

pytestmark = pytest.mark.slow

TESTS = Path(__file__).resolve().parents[1]


def run(tmp_path, monkeypatch, **parameters):
    # Spans are found by the driver alone.
    pipelines.write_rows(tmp_path / "data" / "span-3")
    pipelines.write_rows(tmp_path / "data" / "span-4")
    made = pipelines.sample(tmp_path / "data", pattern="span-{SPAN}/*")
    path = KubeflowRunner(str(tmp_path / "sample.yaml")).run(made)
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    return run_compiled(
        path,
        str(tmp_path / "run"),
        as_processes=True,
        parameters=parameters,
        say=lambda line: None,
    )


def test_three_tasks_run_as_on_a_cluster(tmp_path, monkeypatch):
    done = run(tmp_path, monkeypatch)
    assert [(task.name, task.state) for task in done.tasks] == [
        ("csvexamplegen", "succeeded"),
        ("count", "succeeded"),
        ("report-it", "succeeded"),
    ]
    read, count, report = (task.artifacts for task in done.tasks)
    assert read["examples"]["metadata"]["custom:span"] == 4
    assert read["examples"]["metadata"]["input_fingerprint"].startswith("split:train,")
    assert count["summary"]["metadata"]["read_from"] == read["examples"]["uri"]
    stored = tmp_path / "run" / "store" / report["report"]["uri"].replace("://", "/")
    assert (stored / "report.txt").read_text() == 'span 4, ["train", "eval"], rows 2'
    assert done.said == ""


def test_an_executor_that_fails_ends_its_task_with_its_own_code(tmp_path, monkeypatch):
    path = KubeflowRunner(str(tmp_path / "p.yaml")).run(pipelines.failing(code=5))
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    with pytest.raises(RunError, match="Task fail failed with exit code 5") as error:
        run_compiled(
            path,
            str(tmp_path / "run"),
            as_processes=True,
            parameters={"where": "s3://bucket/there"},
            say=lambda line: None,
        )
    assert "nothing in there" in str(error.value)
