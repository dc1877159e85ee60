"""The main job under LocalDagRunner, as a person runs it."""

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_local_runner_prints_one_line_per_component_and_the_table(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tfx_shrink.cli", "run", "digits"),
            *("--root", str(tmp_path), "--runner", "local"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    components = re.findall(r"^  (\w+) +[\d.]+ s$", done.stderr, re.MULTILINE)
    assert components == [
        "CsvExampleGen",
        "StatisticsGen",
        "SchemaGen",
        "ExampleValidator",
        "Transform",
        "Trainer",
        "Distiller",
        "Pruner",
        "Quantizer",
        "Evaluator",
        "EfficiencyValidator",
        "BucketPusher",
    ]
    # Besides: that TFX is loaded, where artifacts lie, and where the log lies.
    assert len(done.stderr.splitlines()) == len(components) + 3
    assert re.search(r"^int8 TFLite +\d", done.stdout, re.MULTILINE)
    assert f"published: file://{tmp_path}/bucket/digits/1" in done.stdout
    (log,) = os.listdir(tmp_path / "logs")
    assert len((tmp_path / "logs" / log).read_text().splitlines()) > 1000
