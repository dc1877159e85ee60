"""Submitting through kfp.Client, to a stub of the API server."""

import pytest
from support import kfp_server, kubeflow_pipelines
from support.kfp_server import Api, run, task

from tfx_shrink.errors import ParameterError, RunError
from tfx_shrink.kubeflow.runner import KubeflowRunner
from tfx_shrink.kubeflow.submit import submit


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("submit") / "digits.yaml"
    made = kubeflow_pipelines.digits("s3://b/root")
    return KubeflowRunner(str(path)).run(made)


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    path = tmp_path_factory.mktemp("submit") / "sample.yaml"
    made = kubeflow_pipelines.sample("/data", minimum=kubeflow_pipelines.runtime_minimum(None))
    return KubeflowRunner(str(path)).run(made)


def send(path, api, **settings):
    lines = []
    with kfp_server.serve(api) as url:
        done = submit(path, endpoint=url, poll_seconds=0.01, say=lines.append, **settings)
    return done, lines


def test_a_run_gets_its_experiment_root_parameters_and_service_account(sample):
    api = Api([run("SUCCEEDED")])
    done, _ = send(
        sample,
        api,
        experiment="shrinking",
        parameters={"minimum": "3"},
        pipeline_root="gs://b/elsewhere",
        service_account="pipeline-runner",
    )
    assert done.state == "SUCCEEDED"
    (created,) = api.created
    assert api.experiments[0]["display_name"] == "shrinking"
    assert created["experiment_id"] == "e1"
    assert created["runtime_config"] == {
        "parameters": {"minimum": 3},
        "pipeline_root": "gs://b/elsewhere",
    }
    assert created["service_account"] == "pipeline-runner"
    assert created["pipeline_spec"]["schemaVersion"] == "2.1.0"


def test_the_compiled_root_is_used_and_files_are_never_cached(digits):
    api = Api([run("SUCCEEDED")])
    send(digits, api)
    send(digits, api, cache=False)
    cached, uncached = (created["pipeline_spec"]["root"]["dag"]["tasks"] for created in api.created)
    assert api.created[0]["runtime_config"]["pipeline_root"] == "s3://b/root"
    assert cached["trainer"]["cachingOptions"] == {"enableCache": True}
    assert "cachingOptions" not in cached["csvexamplegen"]
    assert not uncached["trainer"]["cachingOptions"].get("enableCache")


def test_progress_is_told_once_for_every_state(digits):
    waiting = run("RUNNING", task("trainer", "RUNNING"), task("evaluator", "PENDING"))
    api = Api([waiting, waiting, run("SUCCEEDED", task("trainer", "SUCCEEDED"))])
    _, lines = send(digits, api)
    assert [line.split() for line in lines[1:]] == [
        ["trainer", "running"],
        ["trainer", "succeeded"],
    ]


def test_a_run_whose_pusher_was_skipped_is_not_called_a_push(digits):
    skipped = run("SUCCEEDED", task("trainer", "SUCCEEDED"), task("bucketpusher", "SKIPPED"))
    assert send(digits, Api([skipped]))[0].said == "not pushed: bucketpusher did not run (skipped)"
    omitted = run("SUCCEEDED", task("trainer", "SUCCEEDED"))
    assert send(digits, Api([omitted]))[0].said == "not pushed: bucketpusher did not run (omitted)"
    ran = run("SUCCEEDED", task("bucketpusher", "SUCCEEDED"))
    assert (
        "whether the model was blessed and published is `pushed`"
        in send(digits, Api([ran]))[0].said
    )


FAILED = run(
    "FAILED",
    task("digits", "FAILED"),
    task("trainer", "FAILED", parent_task_id="digits"),
    task("executor", "FAILED", parent_task_id="trainer", child_tasks=[{"pod_name": "digits-7"}]),
)


def test_a_failed_run_shows_the_last_lines_of_the_task_that_failed(digits):
    log = "\n".join([*map(str, range(100)), "ValueError: the reason"])
    with pytest.raises(RunError) as error:
        send(digits, Api([FAILED], {"digits-7": log}))
    text = str(error.value)
    assert "Run r1 ended as FAILED." in text
    assert "Task trainer failed. The last lines of pod digits-7:" in text
    assert text.endswith("99\nValueError: the reason")
    assert "\n50\n" not in text


def test_a_log_that_may_not_be_read_says_where_it_is(digits):
    with pytest.raises(
        RunError,
        match=r"Task trainer failed. Cannot read the log: 403(.|\n)*kubectl logs digits-7 -c main",
    ):
        send(digits, Api([FAILED]))


def test_a_missing_parameter_is_named_before_anything_is_sent(sample):
    api = Api([run("SUCCEEDED")])
    with pytest.raises(ParameterError, match="'minimum'"):
        send(sample, api)
    assert api.created == []


def test_an_api_server_that_is_not_there(digits):
    with pytest.raises(RunError, match=r"Cannot reach the API server http://127.0.0.1:9"):
        submit(digits, endpoint="http://127.0.0.1:9", say=lambda line: None)
