"""`tfx-shrink compile | run-compiled | submit`."""

import json
import sys

import pytest
import yaml
from click.testing import CliRunner
from support import kfp_server, kubeflow_pipelines

from tfx_shrink.cli import main
from tfx_shrink.kubeflow.runner import DEFAULT_IMAGE, KubeflowRunner


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(result, *words):
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    for word in ("Error: ", *words):
        assert word in result.stderr


@pytest.fixture
def shell(tmp_path):
    return lambda script: KubeflowRunner(str(tmp_path / "shell.yaml")).run(
        kubeflow_pipelines.shell(script)
    )


def test_a_pipeline_of_the_directory_that_one_is_in_compiles(tmp_path, monkeypatch):
    (tmp_path / "my_own.py").write_text(
        "from support import kubeflow_pipelines\n\n"
        "def create():\n    return kubeflow_pipelines.shell('true')\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    done = invoke("compile", "my_own.create", "--output", tmp_path / "mine.yaml")
    assert done.exit_code == 0, done.output


def test_the_digits_compile_with_their_data_and_bucket_beside_the_file(tmp_path):
    done = invoke("compile", "digits", "--output", tmp_path / "digits.yaml")
    assert done.exit_code == 0, done.output
    compiled, *needs = done.stdout.splitlines()
    assert compiled == f"compiled: {tmp_path}/digits.yaml"
    data, models = f"{tmp_path}/digits-data", f"{tmp_path}/digits-bucket"
    assert [need.strip() for need in needs] == [
        f"on the cluster, every task runs in the image {DEFAULT_IMAGE} (--image)",
        f"on the cluster, the image, or a volume (--platform), must hold {data}: CsvExampleGen",
        f"on the cluster, no volume (--platform) is mounted at {models}, so what is pushed there "
        "ends with its pod: BucketPusher",
    ]
    assert (tmp_path / "digits-data" / "digits.csv").is_file()
    text = (tmp_path / "digits.yaml").read_text()
    assert f"file://{tmp_path}/digits-bucket" in text
    assert yaml.safe_load(text)["defaultPipelineRoot"] == "minio://mlpipeline/v2/artifacts"


def test_every_part_of_the_digits_can_lie_elsewhere(tmp_path):
    platform = tmp_path / "platform.yaml"
    platform.write_text("CsvExampleGen: {volumes: {/data: digits}}\n")
    done = invoke(
        *("compile", "digits", "--output", tmp_path / "p.yaml", "--image", "example/digits:2"),
        *("--pipeline-root", "s3://b/root", "--data", "/data", "--push-to", "s3://models/prod"),
        *("--platform", platform),
    )
    assert done.exit_code == 0, done.output
    assert "on the cluster" not in done.stdout
    spec, document = yaml.safe_load_all((tmp_path / "p.yaml").read_text())
    assert spec["defaultPipelineRoot"] == "s3://b/root"
    executors = spec["deploymentSpec"]["executors"].values()
    assert {executor["container"]["image"] for executor in executors} == {"example/digits:2"}
    text = json.dumps(spec)
    assert '"/data"' in text
    assert '"s3://models/prod"' in text
    assert "exec-csvexamplegen" in json.dumps(document)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_function_is_found_by_its_dotted_path(tmp_path):
    output = tmp_path / "p.yaml"
    done = invoke("compile", "support.kubeflow_pipelines.two_tasks", "--output", output)
    assert_refused(done, "`pipeline_root` must be")
    done = invoke(
        *("compile", "support.kubeflow_pipelines.two_tasks", "--output", output),
        *("--pipeline-root", "gs://b/root"),
    )
    assert done.exit_code == 0, done.output
    assert list(yaml.safe_load(output.read_text())["root"]["dag"]["tasks"]) == ["found", "shell"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.at.all"], "Received: 'nowhere.at.all'"),
        (["digit"], "PIPELINE must be digits or"),
        (["support.kubeflow_pipelines.shell"], "is called without arguments: missing a required"),
        (["support.kubeflow_pipelines.ROOT"], "must return a TFX pipeline. Received: str"),
        (["support.kubeflow_pipelines.two_tasks", "--data", "/x"], "are the digits pipeline's"),
        (["digits", "--platform", "/nowhere.yaml"], "--platform /nowhere.yaml cannot be read"),
    ],
)
def test_what_is_no_pipeline_is_refused(tmp_path, arguments, words):
    done = invoke("compile", *arguments, "--output", tmp_path / "p.yaml")
    assert_refused(done, words)
    assert not (tmp_path / "p.yaml").exists()


def test_a_compiled_file_runs_beside_itself(tmp_path, shell):
    done = invoke("run-compiled", shell("mkdir $1; echo x > $1/x"), "--subprocess")
    assert done.exit_code == 0, done.output
    assert done.stdout == "every task succeeded; nothing in the pipeline pushes\n"
    assert "as KFP 2.17 runs it" in done.stderr
    assert (tmp_path / "shell-run" / "store" / "minio").is_dir()


def test_a_failing_task_ends_the_command_with_its_last_lines(shell):
    done = invoke("run-compiled", shell("echo the reason; exit 4"), "--subprocess")
    assert_refused(done, "Task shell failed with exit code 4", "the reason")


def test_bad_options_of_run_compiled(shell):
    path = shell("true")
    assert_refused(
        invoke("run-compiled", path, "--subprocess", "--image", "x:1"), "processes have no image"
    )
    assert_refused(
        invoke("run-compiled", path, "--subprocess", "--namespace", "x"), "run on this machine"
    )
    assert_refused(
        invoke("run-compiled", path, "--subprocess", "--parameter", "x"), "must be NAME=VALUE"
    )


@pytest.mark.parametrize("command", ["compile", "run-compiled", "submit"])
def test_without_kfp_every_command_says_what_to_install(tmp_path, monkeypatch, command):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    options = ["--output", tmp_path / "p.yaml"] if command == "compile" else []
    assert_refused(invoke(command, "digits", *options), "pip install 'tfx-shrink[kfp]'")


def test_a_run_is_submitted(shell):
    api = kfp_server.Api([kfp_server.run("SUCCEEDED", kfp_server.task("shell", "SUCCEEDED"))])
    with kfp_server.serve(api) as url:
        done = invoke(
            *("submit", shell("true"), "--endpoint", url, "--experiment", "e"),
            *("--pipeline-root", "gs://b/x", "--service-account", "runner", "--no-cache", "--json"),
        )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"run_id": "r1", "state": "SUCCEEDED", "said": ""}
    (created,) = api.created
    assert created["service_account"] == "runner"
    assert created["runtime_config"]["pipeline_root"] == "gs://b/x"
