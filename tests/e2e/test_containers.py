"""The compiled digits pipeline in containers of the image IMAGE.

By podman or docker where one of them has the image, and as pods where KUBECONFIG names a cluster
whose nodes have it.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request

import pytest
from support import cluster, cluster_serving
from support import kubeflow_pipelines as pipelines
from support.manifests import PROJECT, TOOLS
from support.waiting import free_port, wait_for

from tfx_shrink import lineage
from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.local_launcher import run_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
PLANTED = "planted-9f3c1e-secret"
TASKS = [
    *("csvexamplegen", "statisticsgen", "schemagen", "examplevalidator", "transform", "trainer"),
    *("distiller", "pruner", "quantizer", "evaluator", "efficiencyvalidator", "bucketpusher"),
]
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ALLOW_HTTP")


def engine():
    """podman or docker, where it has the image."""
    for name in ("podman", "docker"):
        found = shutil.which(name)
        if found and cluster.IMAGE:
            known = subprocess.run(
                [found, "image", "inspect", cluster.IMAGE], capture_output=True, check=False
            )
            if known.returncode == 0:
                return found
    return None


@contextlib.contextmanager
def emulator_here():
    """moto on a port of this machine; yields a client's environment."""
    port = free_port()
    command = [TOOLS / "moto/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)]
    endpoint = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:

            def made():
                with contextlib.suppress(OSError):
                    request = urllib.request.Request(f"{endpoint}/models", method="PUT")
                    urllib.request.urlopen(request, timeout=5).close()
                    return True
                return False

            wait_for(made, "moto answers", 60)
            yield {**os.environ, **cluster_serving.KEYS, "AWS_ENDPOINT_URL": endpoint}
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["engine", "cluster"])
def place(request):
    """(arguments of run-compiled, environment of a client of the bucket)."""
    if request.param == "engine":
        if not engine():
            pytest.skip(f"NOT RUN: neither podman nor docker has the image {cluster.IMAGE!r}")
        with emulator_here() as environment:
            yield (), {**environment, "AWS_SECRET_ACCESS_KEY": PLANTED}
        return
    if reason := cluster.why_not():
        pytest.skip(f"NOT RUN: {reason}")
    with (
        cluster.Namespace("run") as namespace,
        cluster_serving.s3(namespace, PLANTED) as environment,
    ):
        path = os.path.dirname(os.path.realpath(cluster.KUBECTL))
        environment["PATH"] = f"{path}{os.pathsep}{environment['PATH']}"
        yield ("--namespace", namespace.name), environment


@pytest.fixture(scope="module")
def ran(place, tmp_path_factory):
    arguments, environment = place
    root = tmp_path_factory.mktemp("containers")
    secrets = {name: f"bucket-credentials/{name}" for name in (*SECRETS, "AWS_ENDPOINT_URL")}
    (root / "platform.yaml").write_text(json.dumps({"*": {"secrets": secrets}}))
    path = str(root / "digits.yaml")

    def tfx_shrink(*command):
        done = subprocess.run(
            [sys.executable, "-m", "tfx_shrink.cli", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    tfx_shrink(
        *("compile", "digits", "--output", path, "--platform", str(root / "platform.yaml")),
        *("--image", cluster.IMAGE, "--data", "/opt/digits", "--push-to", cluster_serving.BUCKET),
    )
    out, said = tfx_shrink("run-compiled", path, "--json", "--image", cluster.IMAGE, *arguments)
    print(f"\n{said}")
    tfx_shrink(
        *("pull", cluster_serving.BUCKET, str(root / "pulled"), "--model-name", "digits", "--once")
    )
    return root, json.loads(out), out + said


def test_every_task_succeeds_and_the_model_is_in_the_bucket(ran):
    root, done, _ = ran
    assert [(task["name"], task["state"]) for task in done["tasks"]] == [
        (name, "succeeded") for name in TASKS
    ]
    assert done["pushed"] == [f"{cluster_serving.BUCKET}/digits/1"]
    pulled = root / "pulled/digits/1"
    assert (pulled / "model.tflite").is_file()
    techniques = [step["technique"] for step in lineage.read(str(pulled))]
    assert techniques == ["distill", "prune", "quantize"]


def test_no_file_of_the_run_holds_the_secret(ran):
    root, _, said = ran
    assert PLANTED not in said
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert PLANTED.encode() not in file.read(), os.path.join(folder, name)


def run(place, path, script, image=None):
    """Runs a pipeline of one shell command; returns what it prints."""
    arguments, environment = place
    KubeflowRunner(str(path / "shell.yaml")).run(pipelines.shell(script))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", environment["PATH"])
        run_compiled(
            str(path / "shell.yaml"),
            str(path / "run"),
            image=image or cluster.IMAGE,
            namespace=arguments[1] if arguments else None,
            say=lambda line: None,
        )
    return (path / "run/logs/shell.log").read_text()


def test_a_task_is_of_no_root_and_writes_to_no_image(place, tmp_path):
    said = run(place, tmp_path, "id -u; touch /opt/x || echo refused; touch /tmp/x && echo written")
    user, *_ = said.split()
    assert int(user) == os.getuid() if not place[0] else int(user) >= 100_000
    assert "Read-only file system" in said
    assert "refused" in said
    assert "written" in said


def test_a_task_ends_with_its_own_exit_code(place, tmp_path):
    with pytest.raises(RunError, match="Task shell failed with exit code 7"):
        run(place, tmp_path, "exit 7")


def test_an_image_that_is_nowhere_is_named(place, tmp_path):
    with pytest.raises(RunError, match="Task shell: the image localhost/none:1 cannot be started"):
        run(place, tmp_path, "true", image="localhost/none:1")


def test_an_image_holds_nothing_of_its_build_but_what_it_needs(tmp_path):
    """A secret in the environment and in a file beside the code is in no layer and no history."""
    if not (engine() and os.environ.get("BASE_IMAGE")):
        pytest.skip("NOT RUN: there is no podman or docker, or BASE_IMAGE names no image")
    archive, beside = tmp_path / "image.tar", PROJECT / ".env"
    assert not beside.exists()
    beside.write_text(f"AWS_SECRET_ACCESS_KEY={PLANTED}\n")
    try:
        subprocess.run(
            ["make", "image", "IMAGE=localhost/tfx-shrink-planted:1", f"OUT={archive}"],
            env={**os.environ, "AWS_SECRET_ACCESS_KEY": PLANTED},
            cwd=PROJECT,
            check=True,
        )
    finally:
        beside.unlink()
    looked_at = 0
    with tarfile.open(archive) as outer:
        for member in filter(tarfile.TarInfo.isfile, outer):
            looked_at += look_for(PLANTED.encode(), outer.extractfile(member))
    assert looked_at > 1 << 30


def look_for(text, file):
    """Reads a file in pieces that overlap; returns its size."""
    size, before = 0, b""
    while piece := file.read(1 << 24):
        assert text not in before + piece
        size, before = size + len(piece), piece[-len(text) :]
    return size
