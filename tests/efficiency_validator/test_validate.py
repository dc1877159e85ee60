"""One call: a verdict with its reasons, and a report, or an error and nothing."""

import dataclasses
import json
import os
import shutil

import pytest
from click.testing import CliRunner

from tfx_shrink.cli import main
from tfx_shrink.efficiency_validator import validate as room
from tfx_shrink.efficiency_validator.settings import Thresholds
from tfx_shrink.errors import ExamplesError, ModelError, ParameterError


@pytest.fixture
def judge(trained, compared, tmp_path, monkeypatch):
    """Judges what was measured once."""
    monkeypatch.setattr(room, "compare", lambda *models, **settings: compared)

    def run(model_dir=None, examples=None, settings=(), **thresholds):
        return room.validate(
            model_dir or trained.int8,
            trained.float,
            str(tmp_path / "report"),
            examples=examples or [trained.rows],
            thresholds=Thresholds(**thresholds),
            **{"label_key": "label", **dict(settings)},
        )

    return run


def test_a_model_that_reaches_everything_is_blessed_and_reported(judge):
    found = judge(max_bytes=100_000, min_size_ratio=2, max_quality_drop=0.2)
    assert found.blessed, found.reasons
    assert [check.name for check in found.checks][:2] == ["servable", "runs"]
    with open(os.path.join(os.path.dirname(found.report), "report.json")) as file:
        facts = json.load(file)
    assert facts["blessed"] is True
    assert facts["steps"][0]["technique"] == "quantize"
    assert facts["thresholds"]["min_size_ratio"] == 2


def test_every_reason_is_told(judge):
    found = judge(max_bytes=10, min_sparsity=0.9)
    assert not found.blessed
    assert [reason.split()[0] for reason in found.reasons] == ["max_bytes", "min_sparsity"]
    assert os.path.exists(found.report)


def test_of_a_model_that_does_not_run_its_files_are_judged_all_the_same(
    judge, compared, monkeypatch
):
    failed = dataclasses.replace(compared, failure="It holds NaN.")
    monkeypatch.setattr(room, "compare", lambda *models, **settings: failed)
    found = judge(max_bytes=10, max_quality_drop=0.2)
    assert [reason.split()[0] for reason in found.reasons] == ["runs", "max_bytes"]


def test_a_file_that_no_server_loads_is_not_blessed(judge, trained, tmp_path):
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    shutil.copy(os.path.join(trained.int8, "tflite"), renamed / "model_int8.tflite")
    found = judge(str(renamed), max_bytes=100_000)
    (reason,) = found.reasons
    assert "servable missed" in reason
    assert "is called model_int8.tflite; TensorFlow Serving loads model.tflite only" in reason


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({"examples": ["/none/*"], "max_bytes": 1}, ExamplesError, "No file matches"),
        ({}, ParameterError, "No threshold is given"),
        ({"model_dir": "/none", "max_bytes": 1}, ModelError, "/none is not a directory"),
        ({"max_bytes": -1}, ParameterError, "`max_bytes` must be above 0"),
        (
            {"settings": {"rounds": 0}, "max_bytes": 1},
            ParameterError,
            "`rounds` must be at least 1",
        ),
        ({"settings": {"label_key": None}, "max_quality_drop": 1}, ParameterError, "`label_key`"),
    ],
)
def test_bad_input_is_an_error_and_writes_nothing(judge, tmp_path, arguments, kind, words):
    with pytest.raises(kind, match=words):
        judge(**arguments)
    assert not os.path.exists(tmp_path / "report")


def test_nothing_is_overwritten(judge, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine").write_text("kept")
    with pytest.raises(ParameterError, match="Nothing is overwritten"):
        judge(max_bytes=1)


def command(trained, tmp_path, name, *options):
    arguments = [name, trained.int8, trained.float, str(tmp_path / "out")]
    return CliRunner().invoke(main, [*arguments, "--examples", trained.rows, *options])


def test_the_command_ends_with_1_and_the_reason_where_it_is_not_blessed(trained, judge, tmp_path):
    done = command(trained, tmp_path, "validate", "--max-bytes", "10")
    assert done.exit_code == 1
    assert "missed         max_bytes" in done.output
    assert "Error: not blessed: max_bytes missed: required at most 10 bytes" in done.output


def test_the_command_takes_limits_by_percentile(trained, judge, tmp_path):
    done = command(trained, tmp_path, "validate", "--max-latency-ms", "p50=9999", "--json")
    assert done.exit_code == 0, done.output
    assert '"blessed": true' in done.output
    done = command(trained, tmp_path, "validate", "--max-latency-ms", "p50")
    assert "--max-latency-ms must be such as p95=2" in done.output


def test_the_command_needs_a_threshold_and_the_report_none(trained, judge, tmp_path):
    assert "No threshold is given" in command(trained, tmp_path, "validate").output
    done = command(trained, tmp_path, "report", "--label-key", "label")
    assert done.output.strip() == str(tmp_path / "out" / "report.html")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "lessed" not in page.replace("not blessed", "")
