"""The newest kfp client takes what is compiled here."""

import subprocess
from pathlib import Path

import pytest
from support import kubeflow_pipelines

from tfx_shrink.kubeflow.runner import KubeflowRunner

pytestmark = pytest.mark.tools

PROJECT = Path(__file__).resolve().parents[2]


def test_the_newest_kfp_loads_the_digits_pipeline(tmp_path):
    path = str(tmp_path / "digits.yaml")
    platform = {
        "*": {"secrets": {"AWS_SECRET_ACCESS_KEY": "store/key"}},
        "Trainer": {"gpus": 1, "volumes": {"/data": "data"}, "tolerations": [{"key": "gpu"}]},
    }
    made = kubeflow_pipelines.digits()
    KubeflowRunner(path, platform=platform).run(made)
    done = subprocess.run(
        [
            PROJECT / ".tools/kfp/bin/python",
            PROJECT / "tests/support/load_with_kfp.py",
            path,
            tmp_path / "again.yaml",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kfp 2.17.")
    assert "loaded digits: 12 executors" in done.stdout
