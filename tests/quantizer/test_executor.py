"""Quantizer's executor: real artifacts in, a proven model and its custom properties out."""

import os
from unittest import mock

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from support import models, rows
from support.transform import write_transform_graph
from tfx import v1 as tfx

from tfx_shrink import lineage
from tfx_shrink.errors import ExamplesError, ParameterError
from tfx_shrink.quantizer.executor import Executor
from tfx_shrink.tflite.interpreter import TFLiteModel
from tfx_shrink.tfx_seam.components import BaseBeamExecutor, json_utils

KINDS = tfx.types.standard_artifacts
WEIGHTS = np.random.RandomState(1).randn(models.WIDTH, 128).astype(np.float32)


def artifact(kind, path, **properties):
    made = kind()
    made.uri = str(path)
    for name, value in properties.items():
        made.set_string_custom_property(name, value)
    return made


class Quantizing:
    """One execution: input artifacts, the output artifact, and the parameters."""

    def __init__(self, directory):
        self.directory = directory
        self.make_pipeline = mock.Mock(wraps=beam.Pipeline)
        self.model = artifact(KINDS.Model, directory / "quantized")
        self.inputs = {"base_model": [artifact(KINDS.Model, directory / "trained")]}
        self.exec_properties = {
            "scheme": "int8",
            "signature_name": None,
            "splits": json_utils.dumps(["train"]),
            "num_calibration_examples": 40,
            "encode_sparsity": 0,
            "allow_select_tf_ops": 0,
            "engine_batch_sizes": json_utils.dumps([1]),
            "report_splits": json_utils.dumps(["eval"]),
            "seed": 0,
            "time_limit": 600,
        }

    def give_examples(self, name, **properties):
        examples = artifact(KINDS.Examples, self.directory / name, **properties)
        examples.split_names = '["train", "eval"]'
        self.inputs.setdefault("examples", []).append(examples)
        return examples.uri

    def run(self):
        context = BaseBeamExecutor.Context(
            make_beam_pipeline_fn=self.make_pipeline,
            tmp_dir=str(self.directory / "tmp"),
            unique_id="1",
        )
        Executor(context).Do(self.inputs, {"model": [self.model]}, self.exec_properties)

    def assert_refused(self, kind, words):
        with pytest.raises(kind, match=words):
            self.run()
        assert not os.path.exists(self.model.uri)


@pytest.fixture
def quantizing(tmp_path):
    return Quantizing(tmp_path)


def test_artifacts_in_a_proven_model_and_its_properties_out(quantizing, tmp_path):
    models.save_functions(
        tmp_path / "trained" / "Format-Serving",
        scores=(lambda x: {"y": tf.nn.relu(x @ WEIGHTS)}, {"x": models.spec()}),
    )
    raw = models.features(rows=50)["x"]
    spans = [quantizing.give_examples(f"span-{span}") for span in (1, 2)]
    for span, part in zip(spans, (raw[:30], raw[30:]), strict=True):
        rows.write(f"{span}/Split-train/data_tfrecord-0.gz", {"pixels": part}, gzip=True)
        rows.write_serialized(f"{span}/Split-eval/data_tfrecord-0.gz", [b"not an Example"])
    write_transform_graph(
        str(tmp_path / "graph"),
        [{"pixels": row.tolist()} for row in raw],
        {"pixels": tf.io.FixedLenFeature([models.WIDTH], tf.float32)},
        lambda inputs: {"x": inputs["pixels"] / 2},
    )
    quantizing.inputs["transform_graph"] = [artifact(KINDS.TransformGraph, tmp_path / "graph")]
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text('feature {name: "pixels" type: FLOAT}')
    quantizing.inputs["schema"] = [artifact(KINDS.Schema, tmp_path / "schema")]
    quantizing.run()
    quantizing.make_pipeline.assert_called_once_with()  # The runner's own Beam draws the rows.

    made = os.path.join(quantizing.model.uri, "Format-Serving")
    trained = str(tmp_path / "trained" / "Format-Serving")
    (step,) = lineage.read(made)
    assert step["calibration_rows"] == 40
    assert step["output_difference"]["rows"] == 10
    text = quantizing.model.get_string_custom_property
    assert text("compression_technique") == "quantize"
    assert text("compression_scheme") == "int8"
    assert text("compression_source_signature") == "scores"
    number = quantizing.model.get_int_custom_property
    assert number("compression_source_bytes") == lineage.model_state(trained).bytes
    assert number("compression_result_bytes") == lineage.model_state(made).bytes > 0
    moved = quantizing.model.get_float_custom_property
    difference = step["output_difference"]
    assert moved("compression_max_output_difference") == pytest.approx(difference["max"])
    assert moved("compression_p99_output_difference") == pytest.approx(difference["p99"])
    assert 0 < difference["p99"] <= difference["max"] < 1

    with open(os.path.join(made, "model.tflite"), "rb") as file:
        outputs = TFLiteModel(file.read())({"x": raw / 2})["y"]
    assert np.abs(outputs - np.maximum(raw / 2 @ WEIGHTS, 0)).max() < 1


def test_examples_that_are_not_tf_examples_are_refused(quantizing):
    quantizing.give_examples("plain", payload_format="FORMAT_TF_EXAMPLE")
    uri = quantizing.give_examples("sequences", payload_format="FORMAT_TF_SEQUENCE_EXAMPLE")
    quantizing.assert_refused(ExamplesError, f"{uri} is marked as FORMAT_TF_SEQUENCE_EXAMPLE")


def test_an_unknown_split_is_refused_naming_it_and_the_known_ones(quantizing):
    quantizing.give_examples("examples")
    quantizing.exec_properties["splits"] = json_utils.dumps(["train", "trian"])
    quantizing.assert_refused(ExamplesError, r"\['trian'\].*\['train', 'eval'\]")


@pytest.mark.parametrize(
    ("name", "value"), [("scheme", "int7"), ("num_calibration_examples", 0), ("time_limit", -1)]
)
def test_runtime_parameters_are_checked_when_they_have_their_value(quantizing, name, value):
    quantizing.give_examples("examples")
    quantizing.exec_properties[name] = value
    quantizing.assert_refused(ParameterError, f"Received: {name}={value!r}")


def give_labelled_model(quantizing, saved):
    os.makedirs(quantizing.directory / "trained")
    os.symlink(saved("keras"), quantizing.directory / "trained" / "Format-Serving")
    examples = quantizing.give_examples("examples")
    for seed, split in enumerate(("train", "eval")):
        x = models.features(60, seed)["x"]
        labels = x[:, : models.CLASSES].argmax(1)
        rows.write(f"{examples}/Split-{split}/rows", {"x": x, "label": labels})


def test_a_saved_model_scheme_keeps_every_signature_and_says_so(quantizing, saved):
    give_labelled_model(quantizing, saved)
    quantizing.exec_properties["scheme"] = "weight_int8"
    quantizing.run()
    made = os.path.join(quantizing.model.uri, "Format-Serving")
    assert list(tf.saved_model.load(made).signatures) == ["serving_default"]
    text = quantizing.model.get_string_custom_property
    assert text("compression_scheme") == "weight_int8"
    assert text("compression_source_signature") == "every signature"


def test_auto_decides_on_one_split_and_reports_on_the_other(quantizing, saved):
    give_labelled_model(quantizing, saved)
    search = {"label_key": "label", "max_drop": 1.0, "ladder": ["weight_int8", "strip"]}
    quantizing.exec_properties |= {"scheme": "auto", "search": json_utils.dumps(search)}
    quantizing.run()
    assert quantizing.model.get_string_custom_property("compression_scheme") == "weight_int8"
    (step,) = lineage.read(os.path.join(quantizing.model.uri, "Format-Serving"))
    assert step["search"]["rows"] == 20
    assert step["search"]["report"]["rows"] == 60
