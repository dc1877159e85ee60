"""scheme="auto": the smallest scheme whose quality holds."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ExamplesError, ModelError, ParameterError
from tfx_shrink.lineage import read
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.settings import Search

LADDER = ("weight_int8", "weight_bfloat16", "strip")


@pytest.fixture(scope="module")
def splits(saved, tmp_path_factory):
    """Two files of rows, labelled as the float model itself answers."""
    root = tmp_path_factory.mktemp("splits")
    loaded = tf.saved_model.load(saved("keras"))

    def write(name, seed):
        x = models.features(300, seed)["x"]
        labels = loaded.signatures["serving_default"](tf.constant(x))["probabilities"]
        labels = labels.numpy().argmax(1)
        return rows.write(root / name, {"x": x, "label": labels, "text": np.array(["a"] * 300)})

    return write("train", 1), write("eval", 2)


def run(model, splits, out, **search):
    options = {"label_key": "label", "max_drop": 0.05, "ladder": LADDER, **search}
    done = quantize(
        model,
        str(out),
        scheme="auto",
        examples=[splits[0]],
        report_examples=[splits[1]],
        search=Search(**options),
        num_calibration_examples=100,
    )
    (step,) = read(str(out))
    return done, step


def test_the_first_within_the_drop_is_taken_and_reported_on_other_rows(saved, splits, tmp_path):
    done, step = run(saved("keras"), splits, tmp_path / "out")
    assert done.scheme == "weight_int8"
    search = step["search"]
    assert [trial["scheme"] for trial in search["trials"]] == ["weight_int8"]
    assert search["rows"] == 200
    assert search["report"]["rows"] == 300
    assert search["trials"][0]["bytes"] == done.result.bytes
    assert search["trials"][0]["drop"] == pytest.approx(
        search["source"] - search["trials"][0]["accuracy"]
    )
    json.dumps(step)


def test_what_drops_too_far_is_kept_as_a_trial_and_the_next_is_tried(
    saved, splits, tmp_path, monkeypatch
):
    from tfx_shrink.quantizer import to_saved_model

    narrow = to_saved_model.narrow

    def spoiled(weights, storage):
        return narrow(weights * (-1 if storage == "int8" else 1), storage)

    monkeypatch.setattr(to_saved_model, "narrow", spoiled)
    done, step = run(saved("keras"), splits, tmp_path / "out")
    assert done.scheme == "weight_bfloat16"
    first, second = step["search"]["trials"]
    assert first["drop"] > 0.05 >= second["drop"]
    assert {"bytes", "accuracy", "drop", "max_output_difference", "seconds"} <= first.keys()


def test_nothing_good_enough_is_an_error_that_lists_the_trials(
    saved, splits, tmp_path, monkeypatch
):
    from tfx_shrink.quantizer import to_saved_model

    narrow = to_saved_model.narrow
    monkeypatch.setattr(to_saved_model, "narrow", lambda weights, kind: narrow(-weights, kind))
    with pytest.raises(ModelError, match=r"weight_int8: accuracy .*\n  weight_bfloat16: accuracy"):
        run(saved("keras"), splits, tmp_path / "out", ladder=LADDER[:2])
    assert not os.path.exists(tmp_path / "out")


def test_trials_are_limited(saved, splits, tmp_path, monkeypatch):
    from tfx_shrink.quantizer import to_saved_model

    narrow = to_saved_model.narrow
    monkeypatch.setattr(to_saved_model, "narrow", lambda weights, kind: narrow(-weights, kind))
    with pytest.raises(ModelError) as refusal:
        run(saved("keras"), splits, tmp_path / "out", max_trials=1)
    assert "weight_bfloat16: " not in str(refusal.value)


def test_no_trial_is_begun_after_the_time_limit(saved, splits, tmp_path, monkeypatch):
    from tfx_shrink.quantizer import to_saved_model

    narrow = to_saved_model.narrow
    monkeypatch.setattr(to_saved_model, "narrow", lambda weights, kind: narrow(-weights, kind))
    with pytest.raises(ModelError) as refusal:
        run(saved("keras"), splits, tmp_path / "out", time_limit=1e-9)
    assert "weight_int8: accuracy" in str(refusal.value)
    assert "weight_bfloat16: " not in str(refusal.value)


def test_deciding_and_reporting_on_the_same_file_is_refused(saved, splits, tmp_path):
    with pytest.raises(ParameterError, match="no decision has seen"):
        run(saved("keras"), (splits[0], splits[0]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_relative_drop_is_a_share_of_the_sources_metric(saved, splits, tmp_path):
    _, step = run(saved("keras"), splits, tmp_path / "out", drop_type="relative", max_drop=0.5)
    search = step["search"]
    value = search["trials"][0]["accuracy"]
    expected = max(0.0, search["source"] - value) / search["source"]
    assert max(0.0, search["trials"][0]["drop"]) == pytest.approx(expected)


def test_bad_searches_write_nothing(saved, splits, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ExamplesError, match="must be a feature of the rows"):
        run(saved("keras"), splits, out, label_key="lable")
    with pytest.raises(ExamplesError, match="holds text; numbers are needed"):
        run(saved("keras"), splits, out, label_key="text")
    with pytest.raises(ParameterError, match="needs a label"):
        quantize(saved("keras"), str(out), scheme="auto", examples=[splits[0]])
    assert not out.exists()
