"""A pipeline's run on this machine: what a person is told when it fails, and when it succeeds."""

import os
import shutil
import sys

import pytest
from support import bucket, pipelines
from tfx import v1 as tfx
from tfx.types.standard_artifacts import ModelBlessing, PushedModel

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.errors import ParameterError, RunError
from tfx_shrink.pipelines.local_run import run_locally
from tfx_shrink.pipelines.verdict import read_verdict


def pipeline(root, components):
    return tfx.dsl.Pipeline(
        "rows",
        str(root / "artifacts"),
        components=components,
        metadata_connection_config=pipelines.connection(str(root)),
    )


def test_a_failure_names_its_component_its_reason_and_the_log_without_a_traceback(tmp_path, capfd):
    log = str(tmp_path / "logs" / "run.log")
    rows = tfx.components.CsvExampleGen(input_base=str(tmp_path / "nowhere"))
    with pytest.raises(RunError) as failure:
        run_locally(pipeline(tmp_path, [rows]), log)
    assert "nowhere" in str(failure.value)
    assert str(failure.value).endswith(f"\nThe full log is {log}.")
    assert failure.value.__suppress_context__
    told = capfd.readouterr().err
    assert f"full log: {log}\n" in told
    assert "  CsvExampleGen " in told
    assert told.rstrip().endswith("failed")
    with open(log) as file:
        assert "Traceback" in file.read()


@pytest.mark.slow
def test_what_hides_behind_a_module_that_cannot_be_imported_is_told(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("x,y\n" + "1.0,2\n" * 40)
    (tmp_path / "half_there.py").write_text("import not_installed_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    components = pipelines.stock_components(str(tmp_path / "data"), "half_there")
    with pytest.raises(RunError, match="No module named 'not_installed_at_all'"):
        run_locally(pipeline(tmp_path, components[:-1]), str(tmp_path / "log"))
    sys.modules.pop("half_there", None)


def test_a_pipeline_without_metadata_and_an_unknown_runner_are_refused(tmp_path):
    without = tfx.dsl.Pipeline("rows", str(tmp_path), components=[])
    with pytest.raises(ParameterError, match=r"metadata_connection_config.*Received: None"):
        run_locally(without, str(tmp_path / "log"))
    with pytest.raises(ParameterError, match=r"\['beam', 'local'\]. Received: runner='spark'"):
        run_locally(without, str(tmp_path / "log"), runner="spark")


def pushed(destination, at):
    artifact = PushedModel()
    artifact.set_int_custom_property("pushed", 1)
    artifact.set_string_custom_property("pushed_destination", destination)
    artifact.set_string_custom_property("pushed_version", destination.rpartition("/")[2])
    artifact.mlmd_artifact.create_time_since_epoch = int(at * 1000)
    return {"BucketPusher": {"pushed_model": [artifact]}}


def test_what_an_earlier_run_published_is_called_so_while_it_is_there(tmp_path):
    source = bucket.write_model(tmp_path / "model")
    url = f"file://{tmp_path}/bucket"
    publish(str(source), parse_destination(url, "digits"))
    new = read_verdict(pushed(f"{url}/digits/1", at=200), started=100)
    assert new.pushed
    assert not new.earlier
    assert new.summary == f"published, and nothing judged it: {url}/digits/1"
    again = read_verdict(pushed(f"{url}/digits/1", at=50), started=100)
    assert again.pushed
    assert again.earlier
    assert again.summary == f"nothing new, published by an earlier run: {url}/digits/1"
    shutil.rmtree(os.path.join(tmp_path, "bucket"))
    gone = read_verdict(pushed(f"{url}/digits/1", at=50), started=100)
    assert not gone.pushed
    assert f"{url}/digits/1, which is gone" in gone.reason


def test_a_model_is_blessed_only_where_something_judged_it():
    assert read_verdict({}).blessed is None
    blessing = ModelBlessing()
    blessing.set_int_custom_property("blessed", 1)
    assert read_verdict({"Evaluator": {"blessing": [blessing]}}).blessed is True
