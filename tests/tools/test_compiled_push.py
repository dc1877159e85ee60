"""A compiled pipeline pushes to a bucket with credentials that stand in no file."""

import os
import shutil
import urllib.request

import pytest
from support import kubeflow_pipelines
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from tfx_shrink import BucketPusher
from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.versions import verify
from tfx_shrink.kubeflow.local_launcher import run_compiled
from tfx_shrink.kubeflow.runner import KubeflowRunner

pytestmark = pytest.mark.tools

SECRET = "planted-s3cr3t-of-a-pod"


def test_a_compiled_push_arrives_and_its_secret_is_in_no_file(s3, saved, tmp_path, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "an-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3,
    }.items():
        monkeypatch.setenv(name, value)
    urllib.request.urlopen(urllib.request.Request(f"{s3}/compiled", method="PUT")).close()
    model = tfx.dsl.Importer(
        source_uri="minio://trained/model", artifact_type=standard_artifacts.Model
    ).with_id("Trained")
    pusher = BucketPusher(
        model=model.outputs["result"], push_destination="s3://compiled/root", model_name="m"
    )
    path = KubeflowRunner(
        str(tmp_path / "push.yaml"),
        platform={"BucketPusher": {"secrets": {"AWS_SECRET_ACCESS_KEY": "store/key"}}},
    ).run(kubeflow_pipelines.pipeline([model, pusher]))
    stored = tmp_path / "run" / "store" / "minio" / "trained" / "model" / "Format-Serving"
    shutil.copytree(saved("keras"), stored)
    done = run_compiled(path, str(tmp_path / "run"), as_processes=True, say=lambda line: None)
    assert done.pushed == ["s3://compiled/root/m/1"]
    assert done.said == "published: s3://compiled/root/m/1"
    (version,) = verify(parse_destination("s3://compiled/root", "m"))
    assert not version.problems
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert SECRET.encode() not in file.read(), name
