"""EfficiencyValidator's executor: a blessing that stock components obey, and a report."""

import json
import os
import shutil

import apache_beam as beam
import pytest
from tfx import v1 as tfx
from tfx.components.pusher.executor import Executor as StockPusher

from tfx_shrink.artifacts import CompressionReport
from tfx_shrink.efficiency_validator import validate
from tfx_shrink.efficiency_validator.executor import Executor
from tfx_shrink.errors import ExamplesError
from tfx_shrink.tfx_seam.components import BaseBeamExecutor, json_utils, proto_utils

KINDS = tfx.types.standard_artifacts


class Validating:
    """One execution on real artifacts."""

    def __init__(self, directory, trained):
        self.directory = directory
        self.inputs = {
            "model": [self.model("model", trained.int8)],
            "baseline_model": [self.model("baseline", trained.float)],
        }
        examples = self.artifact(KINDS.Examples, "examples")
        examples.split_names = '["train", "eval"]'
        os.makedirs(os.path.join(examples.uri, "Split-eval"))
        shutil.copy(trained.rows, os.path.join(examples.uri, "Split-eval", "rows"))
        self.inputs["examples"] = [examples]
        self.blessing = self.artifact(KINDS.InfraBlessing, "blessing")
        self.report = self.artifact(CompressionReport, "report")
        self.exec_properties = {
            "metric": "accuracy",
            "splits": json_utils.dumps(["eval"]),
            "slice_keys": json_utils.dumps([]),
            "batch_sizes": json_utils.dumps([1]),
            "num_examples": 100,
            "threads": 1,
            "rounds": 5,
            "seed": 0,
            "time_limit": 600,
        }

    def artifact(self, kind, name):
        made = kind()
        made.uri = str(self.directory / name)
        os.makedirs(made.uri)
        return made

    def model(self, name, directory):
        made = self.artifact(KINDS.Model, name)
        shutil.copytree(directory, os.path.join(made.uri, "Format-Serving"))
        return made

    def run(self, **exec_properties):
        context = BaseBeamExecutor.Context(
            make_beam_pipeline_fn=beam.Pipeline,
            tmp_dir=str(self.directory / "tmp"),
            unique_id="1",
        )
        outputs = {"blessing": [self.blessing], "report": [self.report]}
        Executor(context).Do(self.inputs, outputs, {**self.exec_properties, **exec_properties})
        return self.blessing.get_int_custom_property("blessed")

    def push(self):
        """What the stock Pusher makes of the blessing: 1 if it pushed."""
        pushed = self.artifact(KINDS.PushedModel, "pushed")
        destination = tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(
                base_directory=str(self.directory / "bucket")
            )
        )
        StockPusher().Do(
            {"model": self.inputs["model"], "infra_blessing": [self.blessing]},
            {"pushed_model": [pushed]},
            {"push_destination": proto_utils.proto_to_json(destination)},
        )
        return pushed.get_int_custom_property("pushed")


@pytest.fixture
def validating(trained, tmp_path):
    return Validating(tmp_path, trained)


@pytest.fixture
def measured_once(compared, monkeypatch):
    monkeypatch.setattr(validate, "compare", lambda *models, **settings: compared)


def test_a_blessed_model_is_pushed_by_the_stock_pusher(validating, trained):
    pruned = validating.model("pruned", trained.quantized("weight_int8"))
    validating.inputs["pruned_model"] = [pruned]
    assert validating.run(max_bytes=1_000_000) == 1
    assert os.listdir(validating.blessing.uri) == ["INFRA_BLESSED"]
    assert sorted(os.listdir(validating.report.uri)) == ["report.html", "report.json"]
    with open(os.path.join(validating.report.uri, "report.json")) as file:
        names = [stage["name"] for stage in json.load(file)["stages"]]
    assert names == ["baseline", "pruned", "model"]
    assert validating.push() == 1


def test_a_model_that_misses_a_threshold_is_not_pushed_and_says_why(validating, measured_once):
    assert validating.run(max_bytes=10, min_size_ratio=1000.0) == 0
    assert os.listdir(validating.blessing.uri) == ["INFRA_NOT_BLESSED"]
    reasons = validating.blessing.get_string_custom_property("reasons").splitlines()
    assert [reason.split()[0] for reason in reasons] == ["max_bytes", "min_size_ratio"]
    assert validating.push() == 0
    assert not os.path.exists(validating.directory / "bucket")


def test_an_infra_blessing_that_is_given_is_obeyed(validating, measured_once):
    refused = validating.artifact(KINDS.InfraBlessing, "infra")
    refused.set_int_custom_property("blessed", 0)
    validating.inputs["infra_blessing"] = [refused]
    assert validating.run(max_bytes=1_000_000) == 0
    with open(os.path.join(validating.report.uri, "report.html")) as file:
        assert "Not blessed" in file.read()
    refused.set_int_custom_property("blessed", 1)
    validating.report = validating.artifact(CompressionReport, "second")
    assert validating.run(max_bytes=1_000_000) == 1


def test_a_split_that_is_not_there_is_refused(validating):
    with pytest.raises(ExamplesError, match=r"\['test'\] are not in"):
        validating.run(max_bytes=1, splits=json_utils.dumps(["test"]))
    assert os.listdir(validating.blessing.uri) == []
