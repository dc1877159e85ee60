"""`strategy="mirrored"` trains one copy per device; two logical CPUs stand for two GPUs."""

import subprocess
import sys

import pytest
from support import mirrored_distilling

from tfx_shrink import lineage


def test_copies_on_two_devices_learn_what_one_learns(saved, labelled, distilled, tmp_path):
    command = [sys.executable, mirrored_distilling.__file__, saved("keras"), labelled]
    command += [str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "2"
    out, _ = distilled("keras", teacher_pass="in_step")
    copies, one = (
        lineage.read(directory)[-1]["training"]["student"]
        for directory in (str(tmp_path / "out"), out)
    )
    assert copies["final_loss"] == pytest.approx(one["final_loss"], rel=1e-2)
    assert copies["early_stopping"]["epochs"] == 2
