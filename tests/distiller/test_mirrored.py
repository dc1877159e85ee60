"""`strategy="mirrored"` trains one copy per device; two logical CPUs stand for two GPUs."""

import subprocess
import sys

import pytest
from support import mirrored_distilling

from tfx_shrink import lineage


def test_copies_on_two_devices_give_one_student(saved, labelled, tmp_path):
    command = [sys.executable, mirrored_distilling.__file__, saved("keras"), labelled, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "2"
    training = [
        lineage.read(str(tmp_path / teacher_pass))[-1]["training"]["student"]
        for teacher_pass in ("cached", "in_step")
    ]
    cached, in_step = (each["final_loss"] for each in training)
    assert cached == pytest.approx(in_step, rel=1e-3)
    assert {each["early_stopping"]["epochs"] for each in training} == {3}
