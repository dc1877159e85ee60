"""A run that is killed goes on from its last epoch, and ends as if nothing had happened."""

import functools
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from support import killed_distilling, models, rows, weights
from support.killed_distilling import run

from tfx_shrink.distiller import soft_targets, teaching


@pytest.fixture(scope="module")
def killed(saved, labelled, tmp_path_factory):
    """What a run left in its `work_dir` when it was killed in epoch 2."""
    directory = tmp_path_factory.mktemp("killed")
    command = [sys.executable, killed_distilling.__file__, saved("keras"), labelled]
    command += [str(directory / "out"), str(directory / "work")]
    died = subprocess.run(command, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr[-2000:]
    assert os.listdir(directory) == ["work"]
    return directory / "work"


@pytest.fixture
def passes(monkeypatch):
    """How many shards the teacher was asked for."""
    asked = []
    process = soft_targets._Ask.process

    def counting(self, element):
        asked.append(element[0])
        return process(self, element)

    monkeypatch.setattr(soft_targets._Ask, "process", counting)
    return asked


def test_a_resumed_run_ends_as_one_that_was_not_killed_and_asks_no_teacher_again(
    saved, labelled, killed, tmp_path, passes
):
    work = shutil.copytree(killed, tmp_path / "work")
    resumed = run(saved("keras"), labelled, str(tmp_path / "resumed"), str(work))
    assert passes == []
    assert os.listdir(work) == []
    whole = run(saved("keras"), labelled, str(tmp_path / "whole"))
    training = [done.facts["training"]["student"] for done in (resumed, whole)]
    assert [each["resumed_epochs"] for each in training] == [1, 0]
    stops = [each["early_stopping"] for each in training]
    assert stops[0]["best_epoch"] == stops[1]["best_epoch"]
    assert stops[0]["best_loss"] == pytest.approx(stops[1]["best_loss"], rel=1e-3)
    after = [weights.read(str(tmp_path / name)) for name in ("resumed", "whole")]
    assert after[0].keys() == after[1].keys()
    for name, array in after[0].items():
        np.testing.assert_allclose(array, after[1][name], atol=2e-3)


def test_a_student_of_the_same_code_and_other_layers_takes_up_no_weights(
    saved, labelled, killed, tmp_path
):
    work = shutil.copytree(killed, tmp_path / "work")
    other = functools.partial(killed_distilling.student, "tanh")
    done = run(saved("keras"), labelled, str(tmp_path / "out"), str(work), student=other)
    assert done.facts["training"]["student"]["resumed_epochs"] == 0


class _EnoughError(Exception):
    """Raised where training would begin."""


@pytest.fixture
def before_training(monkeypatch):
    def stop(*arguments, **keywords):
        raise _EnoughError

    monkeypatch.setattr(teaching, "train", stop)


@pytest.mark.parametrize("what", ["nothing", "temperature", "teacher", "data", "label_key"])
def test_shards_answer_for_the_teacher_and_the_data_that_they_were_written_for_alone(
    saved, labelled, killed, tmp_path, passes, before_training, what
):
    work = str(shutil.copytree(killed, tmp_path / "work"))
    teacher, examples, parameters = saved("keras"), labelled, {}
    if what == "temperature":
        parameters = {"temperature": 2.0}
    elif what == "label_key":
        parameters = {"label_key": None}
    elif what == "teacher":
        teacher = shutil.copytree(teacher, tmp_path / "teacher")
        (teacher / "assets" / "more").write_text("other")
        teacher = str(teacher)
    elif what == "data":
        features = models.features(96, seed=1)
        features["label"] = features["x"][:, : models.CLASSES].argmax(1)
        examples = rows.write(tmp_path / "other" / "rows", features)
    with pytest.raises(_EnoughError):
        run(teacher, examples, str(tmp_path / "out"), work, **parameters)
    # How a student is trained does not change what its teacher says; all else does.
    assert len(passes) == (0 if what in ("nothing", "temperature") else 2)


def test_rows_that_are_trained_on_do_not_answer_for_those_that_are_not(
    saved, labelled, tmp_path, passes, before_training
):
    features = {**models.features(96, seed=1), "label": [1] * 96}
    other = rows.write(tmp_path / "other" / "rows", features)
    work = str(tmp_path / "work")
    for name, examples, evaluated in (("a", labelled, other), ("b", other, labelled)):
        with pytest.raises(_EnoughError):
            run(saved("keras"), examples, str(tmp_path / name), work, eval_examples=[evaluated])
    assert len(passes) == 4
