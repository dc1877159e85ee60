"""Models are measured side by side; what is wrong with the candidate is its failure."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink.efficiency_validator import running
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


@pytest.fixture(scope="module")
def measured(trained):
    return trained.compare(trained.int8, between={"pruned": trained.quantized("weight_int8")})


def test_everything_is_measured_of_every_stage(measured):
    assert list(measured.stages) == [BASELINE, "pruned", MODEL]
    assert (measured.failure, measured.notes) == ("", [])
    for stage in measured.stages.values():
        assert stage.size.raw > stage.size.gzip > 0
        assert stage.loading.seconds > 0
        assert stage.loading.peak_bytes >= 0
        assert stage.timings[1].p50 <= stage.timings[1].p95 <= stage.timings[1].p99
        assert set(stage.quality) == {"", "group=even", "group=odd"}
        assert stage.weights
    assert measured.baseline.difference is None
    assert 0 < measured.model.difference.max < 1
    assert sum(measured.histogram.counts) == 400 * models.CLASSES
    assert set(measured.drops) == {"", "group=even", "group=odd"}


def test_the_baseline_is_weighed_without_what_only_training_needs(measured):
    assert measured.baseline.size.raw < measured.stages["pruned"].size.raw * 5
    assert measured.baseline.weights[0].dtype == "float32"
    assert measured.model.weights[0].dtype == "int8"


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
    assert "does not run" in trained.compare(save(tmp_path / "bad", _fail)).failure


def test_a_baseline_with_other_inputs_is_refused(trained, tmp_path, loads_at_once):
    other = models.save_functions(
        tmp_path / "other", serving_default=(lambda y: {"probabilities": y}, {"y": models.spec()})
    )
    with pytest.raises(ModelError, match=r"read other features: .*\['x'\].* and .*\['y'\]"):
        trained.compare(trained.int8, baseline=other)


def test_a_baseline_that_is_no_model_is_refused(trained, tmp_path, loads_at_once):
    with pytest.raises(ModelError, match="holds no SavedModel"):
        trained.compare(trained.int8, baseline=str(tmp_path))


def test_a_batch_size_that_a_model_does_not_take_is_a_failure(trained, tmp_path, loads_at_once):
    fixed = save(tmp_path / "fixed", lambda x: x[:, : models.CLASSES], (4, models.WIDTH))
    failure = trained.compare(fixed).failure
    assert "The model takes no batches of [1] rows: its batch size is fixed" in failure


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"label_key": "none"}, ExamplesError, "`label_key` must be a feature of the rows"),
        ({"slice_keys": ("none",)}, ParameterError, "`slice_keys` must be features of the rows"),
        ({"slice_keys": ("x",)}, ParameterError, "'x' has 400 values"),
        ({"output_name": "none"}, ParameterError, r"`output_name` must be one of \['prob"),
    ],
)
def test_what_the_rows_lack_is_refused_before_anything_runs(
    trained, loads_at_once, monkeypatch, settings, kind, words
):
    monkeypatch.setattr(running, "run_models", None)
    with pytest.raises(kind, match=words):
        trained.compare(trained.int8, **settings)


def test_a_stage_between_that_does_not_run_is_left_out_with_a_note(
    trained, tmp_path, loads_at_once
):
    bad = save(tmp_path / "bad", _fail)
    found = trained.compare(trained.int8, between={"pruned": bad}, rounds=1)
    assert found.failure == ""
    assert list(found.stages) == [BASELINE, MODEL]
    assert found.notes == ["pruned: one of them does not run beside the others."]


def test_a_model_that_fails_on_a_later_row_is_a_failure(trained, tmp_path, loads_at_once):
    last = trained.sample.rows[-1]
    value = tf.train.Example.FromString(last).features.feature["x"].float_list.value[0]

    def fail(x):
        with tf.control_dependencies([tf.debugging.assert_none_equal(x[:, 0], value)]):
            return x[:, : models.CLASSES] + 0

    assert "does not run" in trained.compare(save(tmp_path / "late", fail)).failure


def test_a_text_that_differs_is_a_note_and_no_failure(trained, tmp_path, loads_at_once):
    def texts(directory, word):
        return models.save_functions(
            directory,
            serving_default=(
                lambda x: {
                    "probabilities": x[:, : models.CLASSES],
                    "name": tf.fill(tf.shape(x)[:1], word),
                },
                {"x": models.spec()},
            ),
        )

    found = trained.compare(
        texts(tmp_path / "a", "a"),
        baseline=texts(tmp_path / "b", "b"),
        output_name="probabilities",
        rounds=1,
    )
    assert (found.failure, found.model.difference.max) == ("", 0)
    assert found.notes == ["Output 'name' holds text; it differs in 400 rows."]


def _fail(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, -1e9, "too large")]):
        return x[:, : models.CLASSES] + 0
