"""`strategy="mirrored"` trains one copy per device; two logical CPUs stand for two GPUs."""

import subprocess
import sys

import numpy as np
import pytest
from support import mirrored_pruning, weights


def test_copies_on_two_devices_give_one_pruned_model(saved, labelled, tmp_path):
    outs = {kind: str(tmp_path / kind) for kind in ("keras", "keras3")}
    directories = [path for kind, out in outs.items() for path in (saved(kind), out)]
    done = subprocess.run(
        [sys.executable, mirrored_pruning.__file__, labelled, *directories],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "2"
    for kind, out in outs.items():
        before, after = weights.read(saved(kind)), weights.read(out)
        assert before.keys() == after.keys()
        for name, array in after.items():
            if name.endswith("kernel"):
                assert weights.sparsity(array) == pytest.approx(0.8, abs=0.01)
            else:
                assert np.abs(array - before[name]).max() > 1e-4
