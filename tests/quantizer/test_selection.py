"""Which function of a model is converted."""

import os

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ExamplesError, ModelError
from tfx_shrink.lineage import read
from tfx_shrink.quantizer import to_tflite
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.tflite.convert import BlockedError
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tflite.signature_defs import read_signature_defs

X = {"x": models.spec()}


def negated(x):
    return {"y": -x}


def test_public_model_is_converted_through_its_call_function(saved, tmp_path):
    raw = models.public_features(20)
    examples = rows.write(tmp_path / "rows", models.transformed(raw))
    out = str(tmp_path / "out")
    done = quantize(saved("public"), out, scheme="int8", examples=[examples])
    assert done.source_signature == "__call__"

    with open(os.path.join(out, "model.tflite"), "rb") as file:
        content = file.read()
    assert sorted(read_signature_defs(content)) == ["__call__", "serving_default"]
    actual = TFLiteModel(content)(models.transformed(raw))
    serving = tf.saved_model.load(saved("public")).signatures["serving_default"]
    expected = serving(examples=tf.constant(rows.examples(raw)))
    assert list(actual) == list(expected) == ["outputs"]
    spread = np.ptp(expected["outputs"])
    assert np.abs(actual["outputs"] - expected["outputs"]).max() < 0.05 * spread

    (step,) = read(out)
    assert sorted(step["signatures_not_kept"]) == ["serving_default", "transform_features"]
    assert "Calibrated on 16 rows, fewer than the 1000 asked for." in step["notes"]
    assert any("raw-Example signature was not kept" in note for note in step["notes"])
    assert step["output_difference"]["rows"] == 4


def test_keras3_export_is_converted_by_its_serving_default(saved, dense_rows, tmp_path):
    done = quantize(
        saved("keras3"), str(tmp_path / "out"), scheme="dynamic_range", examples=[dense_rows]
    )
    assert done.source_signature == "serving_default"
    assert done.difference.max < 0.1


def test_serving_default_is_taken_before_other_dense_signatures(conversions, dense_rows, tmp_path):
    model = models.save_functions(
        tmp_path / "model", another=(negated, X), serving_default=(negated, X)
    )
    done = quantize(model, str(tmp_path / "out"), scheme="float32", examples=[dense_rows])
    assert done.source_signature == "serving_default"
    assert [asked["name"] for asked in conversions] == ["serving_default"]


def test_named_signature_is_taken_before_serving_default(conversions, dense_rows, tmp_path):
    model = models.save_functions(
        tmp_path / "model", another=(negated, X), serving_default=(negated, X)
    )
    done = quantize(
        model,
        str(tmp_path / "out"),
        scheme="float32",
        examples=[dense_rows],
        signature_name="another",
    )
    assert done.source_signature == "another"
    assert [asked["name"] for asked in conversions] == ["another"]
    (step,) = read(str(tmp_path / "out"))
    assert step["parameters"]["signature_name"] == "another"
    assert sorted(step["signatures_not_kept"]) == ["serving_default"]


def test_dense_transform_features_is_never_chosen(conversions, dense_rows, tmp_path):
    model = models.save_functions(tmp_path / "model", transform_features=(negated, X))
    with pytest.raises(ModelError, match="transform_features: prepares rows and predicts nothing"):
        quantize(model, str(tmp_path / "out"), scheme="float32", examples=[dense_rows])
    assert not conversions


def test_signature_whose_features_the_rows_lack_gives_way_to_one_they_have(dense_rows, tmp_path):
    model = models.save_functions(
        tmp_path / "model",
        serving_default=(lambda absent: {"y": absent}, {"absent": models.spec()}),
        zebra=(negated, X),
    )
    done = quantize(model, str(tmp_path / "out"), scheme="float32", examples=[dense_rows])
    assert done.source_signature == "zebra"


def test_named_signature_gives_way_to_none(conversions, dense_rows, tmp_path):
    model = models.save_functions(
        tmp_path / "model",
        serving_default=(lambda absent: {"y": absent}, {"absent": models.spec()}),
        zebra=(negated, X),
    )
    with pytest.raises(ExamplesError, match=r"\['absent'\] are missing"):
        quantize(
            model,
            str(tmp_path / "out"),
            scheme="float32",
            examples=[dense_rows],
            signature_name="serving_default",
        )
    assert not conversions


def test_signature_that_does_not_convert_gives_way_to_one_that_does(
    conversions, dense_rows, tmp_path, monkeypatch
):
    succeed = to_tflite.convert

    def convert(model_dir, name, *args, **kwargs):
        if name == "serving_default":
            raise BlockedError("no TFLite operation for Digamma", ["Digamma"])
        return succeed(model_dir, name, *args, **kwargs)

    monkeypatch.setattr(to_tflite, "convert", convert)
    model = models.save_functions(
        tmp_path / "model", zebra=(negated, X), serving_default=(negated, X)
    )
    done = quantize(model, str(tmp_path / "out"), scheme="float32", examples=[dense_rows])
    assert done.source_signature == "zebra"


def test_record_speaks_of_a_raw_signature_only_where_there_was_one(quantized):
    (step,) = read(quantized("float32")[0])
    assert step["signatures_not_kept"] == {}
    assert not any("raw-Example signature" in note for note in step["notes"])


def test_time_limit_reaches_the_converter(saved, dense_rows, tmp_path):
    with pytest.raises(ModelError, match=r"did not finish in 0\.2 seconds.*larger time_limit"):
        quantize(
            saved("keras"),
            str(tmp_path / "out"),
            scheme="float32",
            examples=[dense_rows],
            time_limit=0.2,
        )
    assert not os.path.exists(tmp_path / "out")
