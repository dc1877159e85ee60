"""TensorRT schemes, against the interface that TensorFlow's own converter declares.

No GPU and no TensorRT library is at hand: a recorder takes the converter's place, and every call
that it gets is bound to the real class's signature.
"""

import ctypes
import inspect
import os
import types

import numpy as np
import pytest
import tensorflow as tf
from support import models

from tfx_shrink import Quantizer
from tfx_shrink.errors import ModelError
from tfx_shrink.lineage import read
from tfx_shrink.quantizer import tensorrt
from tfx_shrink.quantizer.quantize import quantize
from tfx_shrink.saved_model.strip import strip
from tfx_shrink.tfx_seam.components import Channel, standard_artifacts

REAL = tf.experimental.tensorrt.Converter


class Recorder:
    """Takes the converter's place; `save` writes the float model, as an exact engine would."""

    calls: list

    def __init__(self, **arguments):
        inspect.signature(REAL).bind(**arguments)
        self.arguments = arguments
        type(self).calls = [("init", arguments)]

    def _bind(self, name, *arguments, **keywords):
        inspect.signature(getattr(REAL, name)).bind(self, *arguments, **keywords)

    def convert(self, **keywords):
        self._bind("convert", **keywords)
        batches = keywords.get("calibration_input_fn", lambda: [])()
        self.calls.append(("convert", [batch["x"].shape for batch in batches]))

    def build(self, **keywords):
        self._bind("build", **keywords)
        self.calls.append(("build", [batch["x"].shape for batch in keywords["input_fn"]()]))

    def save(self, directory):
        self._bind("save", directory)
        strip(self.arguments["input_saved_model_dir"], directory)
        self.calls.append(("save", directory))


@pytest.fixture
def gpu_machine(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tensorrt, "ctypes", types.SimpleNamespace(CDLL=lambda name: None))
    monkeypatch.setattr(tf.experimental.tensorrt, "Converter", Recorder)


@pytest.mark.parametrize("scheme", ["tensorrt_fp16", "tensorrt_int8"])
def test_component_is_constructed_where_there_is_no_gpu(scheme):
    Quantizer(
        base_model=Channel(type=standard_artifacts.Model),
        examples=Channel(type=standard_artifacts.Examples),
        scheme=scheme,
    )


def test_what_is_missing_is_named_before_anything_is_read_or_written(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(ModelError, match=r"an NVIDIA GPU, libnvinfer\.so\.8"):
        quantize("nowhere", str(out), scheme="tensorrt_fp16", examples=["nowhere"])
    assert not out.exists()


def test_a_missing_library_alone_is_named(monkeypatch):
    def load(name):
        if "plugin" in name:
            raise OSError(name)

    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tensorrt.ctypes, "CDLL", load)
    with pytest.raises(ModelError, match=r"lacks: libnvinfer_plugin\.so\.8\."):
        tensorrt.check_tensorrt()
    assert ctypes.CDLL is load  # The same module, so the check really asked it.


def test_int8_calibrates_builds_for_each_batch_size_and_is_proven(
    gpu_machine, saved, dense_rows, tmp_path
):
    out = str(tmp_path / "out")
    done = quantize(
        saved("keras"),
        out,
        scheme="tensorrt_int8",
        examples=[dense_rows],
        num_calibration_examples=80,
        engine_batch_sizes=[1, 40],
    )
    init, convert, build, save = Recorder.calls
    assert init[1]["precision_mode"] == "INT8"
    assert init[1]["use_calibration"] is True
    assert init[1]["input_saved_model_signature_key"] == "serving_default"
    assert convert[1] == [(32, models.WIDTH), (32, models.WIDTH)]  # All of one shape.
    assert build[1] == [(1, models.WIDTH), (40, models.WIDTH)]
    assert save[1] != out  # Nothing is written before the proof.
    assert done.difference.max == pytest.approx(0, abs=1e-6)
    (step,) = read(out)
    assert step["engine_batch_sizes"] == [1, 40]
    assert os.path.exists(os.path.join(out, "saved_model.pb"))


def test_fp16_needs_no_calibration(gpu_machine, saved, dense_rows, tmp_path):
    quantize(saved("keras"), str(tmp_path / "o"), scheme="tensorrt_fp16", examples=[dense_rows])
    assert Recorder.calls[0][1]["precision_mode"] == "FP16"
    assert Recorder.calls[1] == ("convert", [])


def test_an_engine_that_answers_otherwise_is_not_written(
    gpu_machine, saved, dense_rows, tmp_path, monkeypatch
):
    module = tf.Module()
    x = tf.TensorSpec([None, models.WIDTH], tf.float32, name="x")
    module.broken = tf.function(lambda x: {"probabilities": x[:, :3] * np.nan}, [x])
    monkeypatch.setattr(
        Recorder,
        "save",
        lambda self, directory: tf.saved_model.save(module, directory, signatures=module.broken),
    )
    out = tmp_path / "out"
    with pytest.raises(ModelError, match="NaN"):
        quantize(saved("keras"), str(out), scheme="tensorrt_fp16", examples=[dense_rows])
    assert not out.exists()


def test_a_model_without_a_dense_signature_is_refused_with_a_way_out(
    gpu_machine, saved, dense_rows, tmp_path
):
    with pytest.raises(ModelError, match=r"ParseExample[\s\S]*use weight_float16"):
        quantize(
            saved("public"), str(tmp_path / "o"), scheme="tensorrt_fp16", examples=[dense_rows]
        )
