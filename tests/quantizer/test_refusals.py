"""What `quantize` refuses: clearly, and with nothing written."""

import os

import numpy as np
import pytest
import tensorflow as tf
from support import models, rows

from tfx_shrink.errors import ExamplesError, ModelError, ParameterError, ProofError
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.quantizer.schemes import SCHEMES


@pytest.fixture
def refusal(saved, dense_rows, tmp_path):
    """Quantizes, expects `error`, checks that nothing was written, and returns the text."""

    def run(error, **given):
        out = given.pop("out_dir", str(tmp_path / "out"))
        before = tf.io.gfile.glob(os.path.join(out, "*"))
        parameters = {
            "model_dir": saved("keras") if "model_dir" not in given else given.pop("model_dir"),
            "scheme": "float32",
            "examples": [dense_rows],
            **given,
        }
        with pytest.raises(error) as raised:
            quantize(out_dir=out, **parameters)
        assert os.path.exists(out) == bool(before)
        assert tf.io.gfile.glob(os.path.join(out, "*")) == before
        return str(raised.value)

    return run


def test_unknown_scheme(refusal):
    text = refusal(ParameterError, scheme="int7")
    for known in (*SCHEMES, "auto"):
        assert f"'{known}'" in text
    assert "scheme='int7'" in text


@pytest.mark.parametrize(
    ("name", "value"), [("num_calibration_examples", 0), ("time_limit", 0), ("time_limit", -1)]
)
def test_parameter_out_of_range(refusal, name, value):
    text = refusal(ParameterError, **{name: value})
    assert f"`{name}` must be" in text
    assert f"{name}={value}" in text


def test_directory_that_holds_no_model(refusal, tmp_path):
    os.makedirs(tmp_path / "model" / "Format-Serving")
    text = refusal(ModelError, model_dir=str(tmp_path / "model"))
    assert "holds no SavedModel" in text
    assert "Format-Serving" in text


def test_model_that_is_tflite_already(refusal, quantized):
    text = refusal(ModelError, model_dir=quantized("float32")[0])
    assert "holds a TFLite model" in text
    assert "Give the SavedModel that it was made from" in text


def test_output_directory_that_is_not_empty(refusal, tmp_path):
    os.makedirs(tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("keep")
    text = refusal(ParameterError)
    assert str(tmp_path / "out") in text
    assert "Nothing is overwritten" in text
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"


def test_output_directory_that_is_a_file(refusal, tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(ParameterError, match="not an empty directory"):
        quantize("unused", str(tmp_path / "file"), scheme="int8", examples=["unused"])
    assert (tmp_path / "file").read_text() == "keep"


def test_signature_that_the_model_does_not_have(refusal):
    text = refusal(ParameterError, signature_name="serve")
    assert "['serving_default', '__call__']" in text
    assert "signature_name='serve'" in text


def test_named_signature_that_cannot_convert(refusal, saved):
    text = refusal(ModelError, model_dir=saved("public"), signature_name="serving_default")
    assert "serving_default: ParseExampleV2, input examples: string" in text
    assert "__call__" not in text


def test_model_without_a_convertible_function(refusal, tmp_path):
    def parse(examples):
        return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([4], tf.float32)})

    def words(x):
        return {"words": tf.strings.as_string(x)}

    raw = {"examples": models.spec([None], tf.string)}
    model = models.save_functions(
        tmp_path / "model",
        serving_default=(parse, raw),
        transform_features=(parse, raw),
        words=(words, {"x": models.spec()}),
    )
    text = refusal(ModelError, model_dir=model)
    for name in ("serving_default", "transform_features"):
        assert f"{name}: ParseExampleV2, input examples: string" in text
    assert "words: AsString" in text
    assert "Save a signature over dense tensors" in text


def test_operation_that_only_the_conversion_finds(refusal, saved, tmp_path):
    features = {"a_xf": np.ones([20, 1], np.float32), "b_xf": np.arange(20).reshape(-1, 1) % 8}
    text = refusal(
        ModelError,
        model_dir=saved("category_encoding"),
        examples=[rows.write(tmp_path / "rows", features)],
    )
    assert "serving_default: ParseExampleV2, input examples: string" in text
    assert "__call__: no TFLite operation for DenseBincount" in text


def test_no_file_matches(refusal, tmp_path):
    pattern = str(tmp_path / "nowhere" / "*")
    text = refusal(ExamplesError, examples=[pattern])
    assert f"No file matches ['{pattern}']" in text


def test_examples_without_a_row(refusal, tmp_path):
    empty = rows.write_serialized(tmp_path / "rows", [])
    assert "there is no row in" in refusal(ExamplesError, examples=[empty])


def test_examples_that_lack_a_feature(refusal, tmp_path):
    other = rows.write(tmp_path / "rows", {"other": np.zeros([10, models.WIDTH])})
    text = refusal(ExamplesError, examples=[other])
    assert "The model reads ['x']" in text
    assert "['other']" in text
    assert "['x'] are missing" in text


def test_feature_of_another_length(refusal, tmp_path):
    short = rows.write(tmp_path / "rows", {"x": np.zeros([10, 3], np.float32)})
    assert "cannot be parsed" in refusal(ExamplesError, examples=[short])


def test_directory_that_is_not_a_transform_graph(refusal, tmp_path):
    text = refusal(ExamplesError, transform_graph=str(tmp_path))
    assert "transform_fn/saved_model.pb is missing" in text


def test_result_without_a_weight_of_the_type_asked_for(refusal, monkeypatch):
    from support.tflite import file_of, linear

    from tfx_shrink.measure.difference import OutputDifference
    from tfx_shrink.tflite.convert import Converted

    float_file = Converted(file_of(*linear()), OutputDifference(0.0, 0.0, 1))
    monkeypatch.setattr(
        "tfx_shrink.quantizer.to_tflite.convert", lambda *args, **kwargs: float_file
    )
    text = refusal(ProofError, scheme="int8")
    assert "scheme='int8' asks for int8 weights" in text
    assert "'float32': 8192" in text
