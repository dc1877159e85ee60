"""A run that is killed goes on from its last epoch, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import killed_pruning, weights

from tfx_shrink import lineage
from tfx_shrink.pruner.prune import prune


def start(*arguments):
    return subprocess.run(
        [sys.executable, killed_pruning.__file__, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("kind", ["keras", "keras3"])
def test_killed_in_epoch_2_it_goes_on_after_epoch_1(saved, labelled, tmp_path, kind):
    work, out, whole = tmp_path / "work", tmp_path / "out", tmp_path / "whole"
    died = start(saved(kind), labelled, out, work, 2)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not out.exists()
    assert len(os.listdir(work)) == 1
    for directory, kept in ((out, work), (whole, None)):
        prune(
            saved(kind),
            str(directory),
            examples=[labelled],
            target_sparsity=0.8,
            label_key="label",
            epochs=killed_pruning.EPOCHS,
            work_dir=kept and str(kept),
        )
    training = lineage.read(str(out))[-1]["training"]
    assert training["resumed_epochs"] == 1
    assert training["epochs"] == killed_pruning.EPOCHS
    assert os.listdir(work) == []
    resumed, uninterrupted = weights.read(str(out)), weights.read(str(whole))
    for name, array in resumed.items():
        np.testing.assert_allclose(array, uninterrupted[name], atol=2e-3)


def test_other_parameters_begin_again(saved, labelled, tmp_path):
    work = tmp_path / "work"
    assert start(saved("keras3"), labelled, tmp_path / "out", work, 2).returncode < 0
    prune(
        saved("keras3"),
        str(tmp_path / "other"),
        examples=[labelled],
        target_sparsity=0.7,
        label_key="label",
        epochs=killed_pruning.EPOCHS,
        work_dir=str(work),
    )
    assert lineage.read(str(tmp_path / "other"))[-1]["training"]["resumed_epochs"] == 0
    assert len(os.listdir(work)) == 1  # What belongs to the killed run stays for it.
