"""Distiller's executor: real artifacts in, a student, logs and custom properties out."""

import glob
import os
from unittest import mock

import apache_beam as beam
import pytest
from support import models, rows
from tfx import v1 as tfx

from tfx_shrink import lineage
from tfx_shrink.distiller.executor import Executor
from tfx_shrink.errors import ExamplesError, ParameterError
from tfx_shrink.tfx_seam.components import BaseBeamExecutor, json_utils, proto_utils

KINDS = tfx.types.standard_artifacts

MODULE = """
import tf_keras

def student_fn(fn_args):
    assert fn_args.train_files and fn_args.eval_files and fn_args.base_model
    x = tf_keras.Input([16], name="x")
    return tf_keras.Model(x, tf_keras.layers.Dense(3, name="top")(x))
"""


def artifact(kind, path):
    made = kind()
    made.uri = str(path)
    return made


class Distilling:
    """One execution: input artifacts, the output artifacts, and the parameters."""

    def __init__(self, directory, teacher):
        self.directory = directory
        self.make_pipeline = mock.Mock(wraps=beam.Pipeline)
        (directory / "trained").mkdir()
        os.symlink(teacher, directory / "trained" / "Format-Serving")
        examples = artifact(KINDS.Examples, directory / "examples")
        examples.split_names = '["train", "eval", "other"]'
        for split, count in (("train", 96), ("eval", 40)):
            features = models.features(count)
            features["label"] = features["x"][:, : models.CLASSES].argmax(1)
            path = f"{examples.uri}/Split-{split}/data_tfrecord-0.gz"
            rows.write(path, features, gzip=True)
        path = f"{examples.uri}/Split-other/data_tfrecord-0.gz"
        rows.write_serialized(path, [b"not an Example"])
        self.inputs = {
            "teacher_model": [artifact(KINDS.Model, directory / "trained")],
            "examples": [examples],
        }
        self.model = artifact(KINDS.Model, directory / "Distiller" / "model" / "7")
        self.model_run = artifact(KINDS.ModelRun, directory / "Distiller" / "model_run" / "7")
        (directory / "mine.py").write_text(MODULE)
        self.exec_properties = {
            "temperature": 2.0,
            "alpha": 0.5,
            "loss": "kl",
            "label_key": "label",
            "splits": json_utils.dumps(["train"]),
            "eval_splits": json_utils.dumps(["eval"]),
            "batch_size": 32,
            "learning_rate": 0.001,
            "teacher_pass": "cached",
            "control": 0,
            "drop_signatures": json_utils.dumps([]),
            "strategy": "one_device",
            "seed": 0,
            "module_file": str(directory / "mine.py"),
        }

    def run(self):
        context = BaseBeamExecutor.Context(
            make_beam_pipeline_fn=self.make_pipeline,
            tmp_dir=str(self.directory / "tmp"),
            unique_id="1",
        )
        outputs = {"model": [self.model], "model_run": [self.model_run]}
        Executor(context).Do(self.inputs, outputs, self.exec_properties)

    @property
    def made(self):
        return os.path.join(self.model.uri, "Format-Serving")

    def assert_refused(self, kind, words):
        with pytest.raises(kind, match=words):
            self.run()
        assert not os.path.exists(self.made)


@pytest.fixture
def distilling(saved, tmp_path):
    return Distilling(tmp_path, saved("keras"))


def test_artifacts_in_a_student_its_logs_and_its_properties_out(distilling):
    train_args = tfx.proto.TrainArgs(num_steps=4)
    distilling.exec_properties["train_args"] = proto_utils.proto_to_json(train_args)
    distilling.run()
    # The runner's own Beam draws the rows of both splits, and asks the teacher.
    assert distilling.make_pipeline.call_count == 3
    (step,) = lineage.read(distilling.made)
    assert step["training"]["student"]["steps"] == 4
    assert step["output_difference"]["rows"] == 96
    assert step["quality"]["rows"] == 40
    assert glob.glob(f"{distilling.model_run.uri}/student/train/events.out.tfevents.*")
    assert sorted(os.listdir(distilling.directory / "Distiller")) == ["model", "model_run"]

    text = distilling.model.get_string_custom_property
    assert text("compression_technique") == "distill"
    assert text("compression_loss") == "kl"
    number = distilling.model.get_int_custom_property
    assert number("compression_student_parameters") == 3 * (models.WIDTH + 1)
    assert number("compression_teacher_parameters") == step["parameters_of"]["teacher"]
    assert number("compression_result_bytes") == lineage.model_state(distilling.made).bytes
    assert number("compression_result_gzip_bytes") == step["result_gzip_bytes"]
    assert number("compression_result_gzip_bytes") < number("compression_source_gzip_bytes")
    share = distilling.model.get_float_custom_property
    assert share("compression_max_output_difference") > 0


def test_the_property_names_the_loss_that_was_taken(saved, tmp_path):
    distilling = Distilling(tmp_path, saved("regression"))
    (tmp_path / "mine.py").write_text(MODULE.replace("Dense(3", "Dense(1"))
    distilling.exec_properties["epochs"] = 1
    distilling.run()
    assert distilling.model.get_string_custom_property("compression_loss") == "mse"


def test_train_args_name_the_splits(distilling):
    train_args = tfx.proto.TrainArgs(num_steps=6, splits=["other"])
    distilling.exec_properties["train_args"] = proto_utils.proto_to_json(train_args)
    distilling.assert_refused(ExamplesError, "A row is no tf.Example; it begins with b'not an Ex")


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.0), ("loss", "hinton"), ("student", "small"), ("teacher_pass", "never")],
)
def test_runtime_parameters_are_checked_when_they_have_their_value(distilling, name, value):
    distilling.exec_properties[name] = value
    distilling.assert_refused(ParameterError, f"Received: {name}={value!r}")
