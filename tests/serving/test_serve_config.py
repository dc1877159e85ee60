"""What TensorFlow Serving is started with follows what lies in the bucket."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from support import bucket
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import publish
from tfx_shrink.bucket_pusher.stores import open_store
from tfx_shrink.cli import main
from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.serve_config import BATCHING_TEXT, MONITORING_TEXT, serve_config

BASE = Path(__file__).resolve().parents[2] / "kubeflow" / "serving" / "base"
SERVER = """
kind: Deployment
metadata: {name: tfserving}
spec: {template: {spec: {containers: [{command: [tensorflow_model_server, --port=8500]}]}}}
"""


@pytest.fixture
def root(tmp_path):
    return f"file://{tmp_path}/bucket"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return bucket.write_models(tmp_path_factory.mktemp("models"), 2)


def read(out):
    text = (Path(out) / "models.config").read_text()
    return list(text_format.Parse(text, ModelServerConfig()).model_config_list.config)


def test_a_model_that_is_not_pinned_follows_its_highest_version(root, models, tmp_path):
    for model in models:
        publish(model, parse_destination(root, "digits"))
    done = serve_config(root, ["digits"], str(tmp_path / "out"))
    (entry,) = read(tmp_path / "out")
    assert (entry.name, entry.base_path) == ("digits", f"{tmp_path}/bucket/digits")
    assert entry.model_version_policy.latest.num_versions == 1
    assert done.versions == {"digits": (2,)}
    assert "--prefer_tflite_model=true" not in done.flags


def test_a_pinned_model_keeps_its_versions_and_labels(root, models, tmp_path):
    destination = parse_destination(root, "digits")
    publish(models[0], destination, mode="pinned")
    publish(models[1], destination, mode="pinned", label="canary")
    serve_config(root, ["digits"], str(tmp_path / "out"), served_from="/models")
    (entry,) = read(tmp_path / "out")
    assert entry.base_path == "/models/digits"
    assert list(entry.model_version_policy.specific.versions) == [1, 2]
    assert dict(entry.version_labels) == {"stable": 1, "canary": 2}


def test_several_models_stand_in_one_file(root, models, tmp_path):
    publish(models[0], parse_destination(root, "digits"))
    publish(models[1], parse_destination(root, "taxi"), mode="pinned")
    serve_config(root, ["digits", "taxi"], str(tmp_path / "out"))
    assert [entry.name for entry in read(tmp_path / "out")] == ["digits", "taxi"]


def test_a_tflite_version_asks_for_the_flag_that_loads_it(root, tmp_path):
    publish(bucket.write_tflite(str(tmp_path / "model")), parse_destination(root, "digits"))
    done = serve_config(root, ["digits"], str(tmp_path / "out"))
    assert "--prefer_tflite_model=true" in done.flags


def test_what_was_changed_by_hand_stays(root, models, tmp_path):
    publish(models[0], parse_destination(root, "digits"))
    own = "max_batch_size { value: 8 }"
    (tmp_path / "batching.config").write_text(own)
    serve_config(root, ["digits"], str(tmp_path))
    assert (tmp_path / "batching.config").read_text() == own
    assert (tmp_path / "monitoring.config").read_text() == MONITORING_TEXT


def test_the_manifests_hold_the_same_defaults():
    assert (BASE / "monitoring.config").read_text() == MONITORING_TEXT
    assert (BASE / "batching.config").read_text() == BATCHING_TEXT


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("monitoring.config", "prometheus_config {}", "must hold `prometheus_config"),
        ("monitoring.config", "nonsense", "no MonitoringConfig"),
        ("batching.config", "nonsense", "no BatchingParameters"),
    ],
)
def test_a_wrong_file_that_is_there_is_refused_before_anything_is_written(
    file, text, said, root, models, tmp_path
):
    publish(models[0], parse_destination(root, "digits"))
    out = tmp_path / "out"
    out.mkdir()
    (out / file).write_text(text)
    with pytest.raises(ParameterError, match=said):
        serve_config(root, ["digits"], str(out))
    assert os.listdir(out) == [file]


@pytest.mark.parametrize("url", ["s3://models/x", "az://models/x"])
def test_what_tensorflow_serving_cannot_read_needs_a_directory(url, tmp_path):
    with pytest.raises(ParameterError, match=r"reads gs:// and local paths only.*served_from"):
        serve_config(url, ["digits"], str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        ([], {}, "`model_names` must name one model"),
        (["digits", "digits"], {}, "each of them once"),
        (["../digits"], {}, "`model_name` must be one path segment"),
        (["digits"], {"served_from": "models"}, "`served_from` must be an absolute path"),
        (["digits"], {}, "digits holds no version that a server can load"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(names, options, said, root, tmp_path):
    with pytest.raises(ParameterError, match=said):
        serve_config(root, names, str(tmp_path / "out"), **options)
    assert not (tmp_path / "out").exists()


def test_a_pinned_version_that_is_gone_is_refused(root, models, tmp_path):
    destination = parse_destination(root, "digits")
    publish(models[0], destination, mode="pinned")
    store = open_store(destination)
    store.delete([entry.key for entry in store.list("digits/1/")])
    with pytest.raises(ParameterError, match=r"names versions \[1\] of digits.*holds \[\]"):
        serve_config(root, ["digits"], str(tmp_path / "out"))


def test_the_command_prints_what_to_start(root, models, tmp_path):
    publish(models[0], parse_destination(root, "digits"))
    arguments = ["serve-config", root, "--model-name", "digits", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "digits: 1" in done.output
    assert "--rest_api_port=8501" in done.output
    done = CliRunner().invoke(main, [*arguments, "--json"])
    assert json.loads(done.output)["versions"] == {"digits": [1]}


def test_the_command_refuses_manifests_that_would_export_nothing(root, models, tmp_path):
    publish(models[0], parse_destination(root, "digits"))
    arguments = ["serve-config", root, "--model-name", "digits", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*arguments, "--manifests", "-"], input=SERVER)
    assert done.exit_code == 1
    assert "Deployment/tfserving: TensorFlow Serving exports metrics over REST only" in done.output
    assert not (tmp_path / "out").exists()
