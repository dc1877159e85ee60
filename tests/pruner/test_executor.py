"""Pruner's executor: real artifacts in, a pruned model, logs and custom properties out."""

import glob
import os
from unittest import mock

import apache_beam as beam
import pytest
from support import models, rows, weights
from tfx import v1 as tfx

from tfx_shrink import lineage
from tfx_shrink.errors import ExamplesError, ParameterError
from tfx_shrink.pruner.executor import Executor
from tfx_shrink.tfx_seam.components import BaseBeamExecutor, json_utils, proto_utils

KINDS = tfx.types.standard_artifacts


def artifact(kind, path):
    made = kind()
    made.uri = str(path)
    return made


class Pruning:
    """One execution: input artifacts, the output artifacts, and the parameters."""

    def __init__(self, directory, trained):
        self.directory = directory
        self.make_pipeline = mock.Mock(wraps=beam.Pipeline)
        (directory / "trained").mkdir()
        os.symlink(trained, directory / "trained" / "Format-Serving")
        examples = artifact(KINDS.Examples, directory / "examples")
        examples.split_names = '["train", "eval"]'
        features = models.features(96)
        features["label"] = features["x"][:, : models.CLASSES].argmax(1)
        rows.write(f"{examples.uri}/Split-train/data_tfrecord-0.gz", features, gzip=True)
        rows.write_serialized(f"{examples.uri}/Split-eval/data_tfrecord-0.gz", [b"not an Example"])
        self.inputs = {
            "base_model": [artifact(KINDS.Model, directory / "trained")],
            "examples": [examples],
        }
        self.model = artifact(KINDS.Model, directory / "Pruner" / "model" / "7")
        self.model_run = artifact(KINDS.ModelRun, directory / "Pruner" / "model_run" / "7")
        self.exec_properties = {
            "target_sparsity": 0.8,
            "pattern": "unstructured",
            "schedule": "polynomial",
            "scope": "tensor",
            "method": "auto",
            "label_key": "label",
            "splits": json_utils.dumps(["train"]),
            "batch_size": 32,
            "skip_layers": json_utils.dumps([]),
            "drop_signatures": json_utils.dumps([]),
            "strategy": "one_device",
            "seed": 0,
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
def pruning(saved, tmp_path):
    return Pruning(tmp_path, saved("keras"))


def test_artifacts_in_a_pruned_model_its_logs_and_its_properties_out(pruning):
    train_args = tfx.proto.TrainArgs(num_steps=6)
    pruning.exec_properties["train_args"] = proto_utils.proto_to_json(train_args)
    pruning.run()
    pruning.make_pipeline.assert_called_once_with()  # The runner's own Beam draws the rows.
    (step,) = lineage.read(pruning.made)
    assert step["training"]["steps"] == 6
    assert step["output_difference"]["rows"] == 96
    assert weights.sparsity(weights.read(pruning.made)["dense/kernel"]) == pytest.approx(0.8, 0.01)
    assert glob.glob(f"{pruning.model_run.uri}/train/events.out.tfevents.*")
    assert os.listdir(os.path.join(pruning.directory, "Pruner")) == ["model", "model_run"]

    text = pruning.model.get_string_custom_property
    assert text("compression_technique") == "prune"
    assert text("compression_pattern") == "unstructured"
    assert text("compression_method") == "fine_tune"
    number = pruning.model.get_int_custom_property
    assert number("compression_result_bytes") == lineage.model_state(pruning.made).bytes
    assert number("compression_result_gzip_bytes") == step["result_gzip_bytes"]
    assert number("compression_result_gzip_bytes") < number("compression_source_gzip_bytes")
    share = pruning.model.get_float_custom_property
    assert share("compression_sparsity") == pytest.approx(0.8, abs=0.01)
    assert share("compression_max_output_difference") > 0


def test_train_args_name_the_splits(pruning):
    train_args = tfx.proto.TrainArgs(num_steps=6, splits=["eval"])
    pruning.exec_properties["train_args"] = proto_utils.proto_to_json(train_args)
    pruning.assert_refused(ExamplesError, "A row is no tf.Example; it begins with b'not an Ex")


def test_user_code_is_loaded(pruning, tmp_path):
    (tmp_path / "mine.py").write_text(
        "def compile_fn(model):\n"
        "    model.compile('sgd', 'sparse_categorical_crossentropy', run_eagerly=True)\n"
    )
    pruning.exec_properties["module_file"] = str(tmp_path / "mine.py")
    pruning.exec_properties["epochs"] = 1
    pruning.run()
    training = lineage.read(pruning.made)[-1]["training"]
    assert (training["origin"], training["optimizer"]) == ("compile_fn", "SGD")


def test_a_kept_work_dir_is_the_pipeline_authors(pruning, tmp_path):
    work = tmp_path / "work"
    pruning.exec_properties.update(work_dir=str(work), epochs=1)
    pruning.run()
    assert os.listdir(work) == []


@pytest.mark.parametrize(("name", "value"), [("pattern", "4_of_8"), ("target_sparsity", 2.0)])
def test_runtime_parameters_are_checked_when_they_have_their_value(pruning, name, value):
    pruning.exec_properties[name] = value
    pruning.assert_refused(ParameterError, f"Received: {name}={value!r}")
