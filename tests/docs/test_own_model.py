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
    for title, code in re.findall(
        r'^```python title="(.+?)"\n(.*?)^```$', PAGE.read_text(), re.M | re.S
    ):
        (tmp_path / title).write_text(code)
    (commands,) = re.findall(r"^```sh\n(python rows.py\n.*?)^```$", PAGE.read_text(), re.M | re.S)
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
    assert f"file://{tmp_path}/bucket/cancer/1" in done.stdout
    assert (tmp_path / "bucket/cancer/1/model.tflite").exists()
    for name in ("Trainer", "Pruner", "Quantizer", "Evaluator", "BucketPusher"):
        assert re.search(rf"^  {name} +\d", done.stderr, re.M), done.stderr
