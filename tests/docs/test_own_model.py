"""The page of the reader's own model, followed word by word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own_model.md"


@pytest.mark.slow
def test_the_steps_end_in_a_pushed_model_that_is_smaller(tmp_path):
    page = PAGE.read_text()
    for title, code in re.findall(r'^```python title="(.+?)"\n(.*?)^```$', page, re.M | re.S):
        (tmp_path / title).write_text(code)
    shells = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
    run, ask, compiled = (shells[index].splitlines() for index in (1, 2, 3))
    # Nobody listens to curl here; what is compiled is run by `make e2e-kubeflow`.
    commands = "\n".join([*run, ask[0], compiled[0]])
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"blessed and published: file://{tmp_path}/bucket/cancer/1" in done.stdout
    assert "{'probability': array([[" in done.stdout
    assert "the image must hold the module cancer: Transform, Trainer" in done.stdout
    assert (tmp_path / "bucket/cancer/1/model.tflite").exists()
    for name in ("Trainer", "Pruner", "Quantizer", "Evaluator", "BucketPusher"):
        assert re.search(rf"^  {name} +\d", done.stderr, re.M), done.stderr
