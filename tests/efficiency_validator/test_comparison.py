"""Models are measured side by side; what is wrong with the candidate is its failure."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.efficiency_validator import comparison
from tfx_shrink.efficiency_validator.comparison import BASELINE, MODEL
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.measure import loading


def save(directory, function, shape=(None, models.WIDTH)):
    return models.save_functions(
        directory,
        serving_default=(lambda x: {"probabilities": function(x)}, {"x": models.spec(shape)}),
    )


def copy_of(trained, tmp_path):
    return shutil.copytree(trained.int8, tmp_path / "copy")


def test_everything_is_measured_of_every_stage(compared):
    assert list(compared.stages) == [BASELINE, "pruned", MODEL]
    assert (compared.failure, compared.notes) == ("", [])
    for stage in compared.stages.values():
        assert stage.size.raw > stage.size.gzip > 0
        assert stage.loading.seconds > 0
        assert stage.loading.peak_bytes >= 0
        assert stage.timings[1].p50 <= stage.timings[1].p95 <= stage.timings[1].p99
        assert set(stage.quality) == {"", "group=even", "group=odd"}
        assert stage.weights
    assert compared.baseline.difference is None
    assert 0 < compared.model.difference.max < 1
    assert sum(compared.histogram.counts) == 400 * models.CLASSES
    assert set(compared.drops) == {"", "group=even", "group=odd"}


def test_the_baseline_is_weighed_without_what_only_training_needs(compared, trained):
    assert compared.baseline.size.raw < compared.stages["pruned"].size.raw * 5
    assert compared.baseline.weights[0].dtype == "float32"
    assert compared.model.weights[0].dtype == "int8"


def test_the_same_file_is_neither_faster_nor_slower(trained, loads_at_once):
    found = trained.compare(trained.int8, baseline=trained.int8, rounds=100)
    speedup = found.model.timings[1].speedup
    assert speedup.low < 1 < speedup.high
    assert found.model.difference.max == 0


def test_a_damaged_file_is_a_failure_and_no_error(trained, tmp_path):
    broken = copy_of(trained, tmp_path)
    for name in ("tflite", "model.tflite"):
        content = bytearray((broken / name).read_bytes())
        content[100:600] = b"\xff" * 500
        (broken / name).write_bytes(content)
    assert trained.compare(str(broken)).failure


def test_a_model_that_ends_its_process_is_a_failure(trained, tmp_path, monkeypatch):
    dying = copy_of(trained, tmp_path)
    real = loading.run_child

    def run_child(command, *arguments, **parameters):
        if str(dying) in str(command):
            command = [command[0], "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
        return real(command, *arguments, **parameters)

    monkeypatch.setattr(loading, "run_child", run_child)
    failure = trained.compare(str(dying)).failure
    assert failure == "The process that ran the model was killed by SIGSEGV."


def test_nan_is_a_failure(trained, tmp_path, loads_at_once):
    nan = save(tmp_path / "nan", lambda x: x[:, : models.CLASSES] * np.float32("nan"))
    assert "holds NaN or infinity in 1200 of 1200" in trained.compare(nan).failure


def test_a_model_that_fails_when_it_is_called_is_a_failure(trained, tmp_path, loads_at_once):
    def fail(x):
        with tf.control_dependencies([tf.debugging.assert_less(x, -1e9, "too large")]):
            return x[:, : models.CLASSES] + 0

    assert "The model does not run" in trained.compare(save(tmp_path / "bad", fail)).failure


def test_a_baseline_with_other_inputs_is_refused(trained, tmp_path, loads_at_once):
    other = models.save_functions(
        tmp_path / "other", serving_default=(lambda y: {"probabilities": y}, {"y": models.spec()})
    )
    with pytest.raises(ModelError, match=r"read other features: .*\['x'\].* and .*\['y'\]"):
        trained.compare(trained.int8, baseline=other)


def test_a_baseline_that_is_no_model_is_refused(trained, tmp_path, loads_at_once):
    with pytest.raises(ModelError, match="holds no SavedModel"):
        trained.compare(trained.int8, baseline=str(tmp_path))


def test_a_batch_size_that_a_model_does_not_take_is_refused(trained, tmp_path, loads_at_once):
    fixed = save(tmp_path / "fixed", lambda x: x[:, : models.CLASSES], (4, models.WIDTH))
    with pytest.raises(ParameterError, match=r"The model takes no batches of \[1\] rows"):
        trained.compare(fixed)


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"label_key": "none"}, ExamplesError, "`label_key` must be a feature of the rows"),
        ({"slice_keys": ("none",)}, ParameterError, "`slice_keys` must be features of the rows"),
        ({"slice_keys": ("x",)}, ParameterError, "'x' has 399 values"),
        ({"output_name": "none"}, ParameterError, r"`output_name` must be one of \['prob"),
    ],
)
def test_what_the_rows_lack_is_refused(
    trained, loads_at_once, timed_at_once, settings, kind, words
):
    with pytest.raises(kind, match=words):
        trained.compare(trained.int8, **settings)


@pytest.fixture
def timed_at_once(compared, monkeypatch):
    times = {1: {name: stage.timings[1] for name, stage in compared.stages.items()}}
    monkeypatch.setattr(comparison, "measure_timings", lambda *models, **settings: times)
