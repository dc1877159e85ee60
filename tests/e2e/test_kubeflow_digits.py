"""The whole digits pipeline, compiled and run as Kubeflow Pipelines would."""

import json
import os
import subprocess
import sys

import pytest

from tfx_shrink import lineage

pytestmark = [pytest.mark.kubeflow, pytest.mark.slow]

PLANTED = "planted-9f3c1e-secret"


def tfx_shrink(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "tfx_shrink.cli", *arguments],
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": PLANTED},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    root = tmp_path_factory.mktemp("kubeflow")
    platform = root / "platform.yaml"
    platform.write_text("'*': {secrets: {AWS_SECRET_ACCESS_KEY: store/key}}\n")
    path = str(root / "digits.yaml")
    compiled = tfx_shrink("compile", "digits", "--output", path, "--platform", str(platform))
    assert compiled.returncode == 0, compiled.stderr
    done = tfx_shrink("run-compiled", path, "--subprocess", "--json")
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout), done.stderr


@pytest.mark.timeout(3600)
def test_every_task_succeeds_and_the_model_is_published(ran):
    root, done, _ = ran
    assert [(task["name"], task["state"]) for task in done["tasks"]] == [
        (name, "succeeded")
        for name in (
            "csvexamplegen",
            "statisticsgen",
            "schemagen",
            "examplevalidator",
            "transform",
            "trainer",
            "distiller",
            "pruner",
            "quantizer",
            "evaluator",
            "efficiencyvalidator",
            "bucketpusher",
        )
    ]
    assert done["pushed"] == [f"file://{root}/digits-bucket/digits/1"]
    published = root / "digits-bucket" / "digits" / "1"
    assert (published / "model.tflite").is_file()
    techniques = [step["technique"] for step in lineage.read(str(published))]
    assert techniques == ["distill", "prune", "quantize"]


@pytest.mark.timeout(3600)
def test_the_report_is_a_page_that_the_user_interface_shows(ran):
    root, done, _ = ran
    (task,) = (task for task in done["tasks"] if task["name"] == "efficiencyvalidator")
    page = task["artifacts"]["report_html"]
    stored = root / "digits-run" / "store" / page["uri"].replace("://", "/")
    assert stored.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.timeout(3600)
def test_nothing_that_leaves_a_pod_names_its_disk(ran):
    root, done, _ = ran
    for task in done["tasks"]:
        assert f"{root}/digits-run/pods" not in json.dumps(task["artifacts"]), task["name"]


@pytest.mark.timeout(3600)
def test_a_planted_secret_is_in_no_file_of_the_run(ran):
    root, done, said = ran
    assert PLANTED not in json.dumps(done) + said
    files = 0
    for folder, _, names in os.walk(root):
        for name in names:
            files += 1
            with open(os.path.join(folder, name), "rb") as file:
                assert PLANTED.encode() not in file.read(), os.path.join(folder, name)
    assert files > 50
