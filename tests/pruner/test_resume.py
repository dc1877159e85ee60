"""A run that is killed goes on from its last epoch, and ends as if nothing had happened."""

import functools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import killed_pruning, weights

from tfx_shrink import lineage
from tfx_shrink.pruner.prune import prune


@pytest.fixture(scope="module")
def killed(saved, labelled, tmp_path_factory):
    """`killed("keras")` is what a run left in its `work_dir` when it was killed in epoch 2."""

    @functools.cache
    def kill(kind):
        directory = tmp_path_factory.mktemp(kind)
        command = [sys.executable, killed_pruning.__file__, saved(kind), labelled]
        command += [str(directory / "out"), str(directory / "work")]
        died = subprocess.run(command, capture_output=True, text=True, check=False)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert os.listdir(directory) == ["work"]
        return directory / "work"

    return kill


def run(saved, kind, labelled, out, work=None, target_sparsity=killed_pruning.SPARSITY):
    """The killed run's parameters; returns what the record says of the training."""
    prune(
        saved(kind),
        str(out),
        examples=[labelled],
        target_sparsity=target_sparsity,
        label_key="label",
        epochs=killed_pruning.EPOCHS,
        work_dir=None if work is None else str(work),
    )
    return lineage.read(str(out))[-1]["training"]


@pytest.mark.parametrize("kind", ["keras", "keras3"])
def test_killed_in_epoch_2_it_goes_on_after_epoch_1(saved, labelled, killed, tmp_path, kind):
    work = shutil.copytree(killed(kind), tmp_path / "work")
    training = run(saved, kind, labelled, tmp_path / "out", work)
    assert training["resumed_epochs"] == 1
    assert training["epochs"] == killed_pruning.EPOCHS
    assert os.listdir(work) == []


def test_a_resumed_run_ends_with_the_weights_of_one_that_was_not_killed(
    saved, labelled, killed, tmp_path
):
    work = shutil.copytree(killed("keras3"), tmp_path / "work")
    run(saved, "keras3", labelled, tmp_path / "resumed", work)
    run(saved, "keras3", labelled, tmp_path / "whole")
    resumed, whole = (weights.read(str(tmp_path / name)) for name in ("resumed", "whole"))
    for name, array in resumed.items():
        np.testing.assert_allclose(array, whole[name], atol=2e-3)


def test_other_parameters_begin_again(saved, labelled, killed, tmp_path):
    work = shutil.copytree(killed("keras3"), tmp_path / "work")
    training = run(saved, "keras3", labelled, tmp_path / "out", work, target_sparsity=0.7)
    assert training["resumed_epochs"] == 0
    assert len(os.listdir(work)) == 1  # What belongs to the killed run stays for it.
