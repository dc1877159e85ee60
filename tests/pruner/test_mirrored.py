"""`strategy="mirrored"` trains one copy per device; two logical CPUs stand for two GPUs."""

import subprocess
import sys

import pytest
from support import mirrored_pruning, weights


@pytest.mark.parametrize("kind", ["keras", "keras3"])
def test_copies_on_two_devices_give_one_pruned_model(saved, labelled, tmp_path, kind):
    out = str(tmp_path / "out")
    done = subprocess.run(
        [sys.executable, mirrored_pruning.__file__, saved(kind), labelled, out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "2"
    kernels = [array for name, array in weights.read(out).items() if name.endswith("kernel")]
    assert kernels
    for kernel in kernels:
        assert weights.sparsity(kernel) == pytest.approx(0.8, abs=0.01)
