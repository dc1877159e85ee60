"""The model of TensorFlow Serving follows the rules of the real one."""

import json
import os
import shutil
import time
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from support import answering
from support.serving_model import Flags, ModelServer, ServingError
from support.serving_model.metrics import BOUNDS
from support.serving_model.source import version_number
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

FAST = {
    "file_system_poll_wait_seconds": 0.02,
    "model_config_file_poll_wait_seconds": 0.02,
    "manage_state_interval_micros": 5000,
    "load_retry_interval_micros": 20_000,
}
AVAILABLE = ("AVAILABLE", None)


@pytest.fixture
def base(numbers, tmp_path):
    """A base path that holds version 1."""
    shutil.copytree(numbers[1], tmp_path / "digits" / "1")
    return tmp_path / "digits"


def flags(base, **options):
    return Flags(model_name="digits", model_base_path=str(base), **{**FAST, **options})


def add(numbers, base, number, content=None):
    """Puts a version there by a rename."""
    shutil.copytree(numbers[content or number], base / f".{number}")
    os.rename(base / f".{number}", base / str(number))


def states(server, name="digits"):
    return {version: state for version, (state, _) in server.core.manager.states(name).items()}


def wait_until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def get(server, path):
    """(status, body) of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.rest_port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize(
    ("child", "number"),
    [
        ("7", 7),
        ("00007", 7),
        (" +7 ", 7),
        ("-3", -3),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", None),
        ("tmp-7", None),
        (".7", None),
        ("7.0", None),
        ("_tfx", None),
        ("", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
    ],
)
def test_a_version_is_what_simple_atoi_takes(child, number):
    assert version_number(child) == number


def test_the_highest_number_is_served_and_the_old_one_unloaded_after_it(numbers, base):
    with ModelServer(flags(base)) as server:
        assert answering.ask_rest(server) == 1
        add(numbers, base, 2)
        wait_until(lambda: states(server) == {1: "END", 2: "AVAILABLE"})
        assert answering.ask_rest(server) == 2
        shutil.rmtree(base / "2")
        wait_until(lambda: states(server) == {1: "AVAILABLE", 2: "END"})
        assert answering.ask_rest(server) == 1


def test_a_base_path_that_is_gone_changes_nothing_and_an_empty_one_unloads_everything(
    numbers, base
):
    with ModelServer(flags(base)) as server:
        os.rename(base, base.with_name("away"))
        wait_until(lambda: server.log)
        assert "Could not find base path" in str(server.log[-1])
        assert answering.ask_rest(server) == 1
        base.mkdir()
        wait_until(lambda: states(server) == {1: "END"})
        assert get(server, "/v1/models/digits/metadata")[0] == 404


def test_a_start_waits_for_a_base_path_and_fails_for_a_version_that_does_not_load(base, tmp_path):
    with pytest.raises(TimeoutError):
        ModelServer(flags(tmp_path / "missing"), timeout=0.2)
    (base / "2").mkdir()
    with pytest.raises(ServingError, match="did not become available"):
        ModelServer(flags(base, max_num_load_retries=0))


def test_a_version_that_failed_is_never_tried_again_and_a_higher_one_takes_over(numbers, base):
    with ModelServer(flags(base, max_num_load_retries=2, num_load_threads=1)) as server:
        (base / "2").mkdir()
        wait_until(lambda: states(server).get(2) == "END")
        _, error = server.core.manager.states("digits")[2]
        assert error.code == "NOT_FOUND"
        assert answering.ask_rest(server) == 1  # AvailabilityPreserving
        attempts = f'load_attempt_count{{model_path="{base}/2",status="fail"}} 3\n'
        assert attempts in server.metrics.page()
        shutil.copytree(numbers[2], base / "2", dirs_exist_ok=True)
        time.sleep(0.3)
        assert states(server) == {1: "AVAILABLE", 2: "END"}
        # Not even when it was away: 1 is still loaded, so that no request that names it is heard.
        os.rename(base / "2", base / "away")
        time.sleep(0.1)
        os.rename(base / "away", base / "2")
        time.sleep(0.3)
        assert states(server) == {1: "AVAILABLE", 2: "END"}
        add(numbers, base, 3)
        wait_until(lambda: states(server) == {1: "END", 2: "END", 3: "AVAILABLE"})


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_without_a_second_load_thread_one_broken_version_holds_up_every_model(
    threads, numbers, tmp_path
):
    for name in ("a", "b"):
        shutil.copytree(numbers[1], tmp_path / name / "1")
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, a="", b=""))
    options = {**FAST, "load_retry_interval_micros": 300_000, "num_load_threads": threads}
    with ModelServer(Flags(model_config_file=str(config), **options)) as server:
        (tmp_path / "a" / "2").mkdir()
        wait_until(lambda: states(server, "a").get(2) == "LOADING")
        add(numbers, tmp_path / "b", 2)
        wait_until(lambda: states(server, "b").get(2) == "AVAILABLE")
        still_trying = states(server, "a")[2] == "LOADING"
        assert still_trying == (threads == 2)


def entries(root, **policies):
    configs = "\n".join(
        f'config {{ name: "{name}" base_path: "{root}/{name}" model_platform: "tensorflow" '
        f"{policy} }}"
        for name, policy in policies.items()
    )
    return f"model_config_list {{ {configs} }}"


def specific(*versions, **labels):
    named = " ".join(f"versions: {version}" for version in versions)
    points = " ".join(
        f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items()
    )
    return f"model_version_policy {{ specific {{ {named} }} }} {points}"


def rewrite(config, text):
    beside = config.with_name("new")
    beside.write_text(text)
    os.replace(beside, config)


def test_a_label_to_a_version_that_is_not_loaded_refuses_the_whole_file(numbers, base, tmp_path):
    add(numbers, base, 2)
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, digits=specific(1)))
    with ModelServer(Flags(model_config_file=str(config), **FAST)) as server:
        rewrite(config, entries(tmp_path, digits=specific(1, stable=1)))
        wait_until(lambda: answered(server, "/labels/stable") == 1)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=2)))
        wait_until(lambda: server.log)
        time.sleep(0.3)
        assert "not currently available" in str(server.log[-1])
        assert states(server) == {1: "AVAILABLE"}  # 2 is not even loaded: it never ends by itself
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=1)))
        wait_until(lambda: states(server).get(2) == "AVAILABLE")
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=2)))
        wait_until(lambda: answered(server, "/labels/stable") == 2)


def answered(server, path):
    try:
        return answering.ask_rest(server, path)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_start_with_labels_needs_the_flag_which_lets_no_label_move_too_early(
    numbers, base, tmp_path
):
    config = tmp_path / "models.config"
    config.write_text(entries(tmp_path, digits=specific(1, stable=1)))
    options = {"model_config_file": str(config), **FAST}
    with pytest.raises(ServingError, match="not currently available"):
        ModelServer(Flags(**options))
    options["allow_version_labels_for_unavailable_models"] = True
    with ModelServer(Flags(**options)) as server:
        assert answered(server, "/labels/stable") == 1
        assert answered(server, "/labels/canary") == 400
        add(numbers, base, 2)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, stable=1, canary=2)))
        wait_until(lambda: answered(server, "/labels/canary") == 2)
        add(numbers, base, 3)
        rewrite(config, entries(tmp_path, digits=specific(1, 2, 3, stable=1, canary=3)))
        wait_until(lambda: server.log)
        assert answered(server, "/labels/canary") == 2


def test_a_reload_by_grpc_says_what_was_wrong_in_its_answer(base):
    with ModelServer(flags(base)) as server, channel(server) as connection:
        stub = model_service_pb2_grpc.ModelServiceStub(connection)
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name="digits", base_path=str(base), model_platform="tensorflow"
        )
        entry.version_labels["stable"] = 9
        status = stub.HandleReloadConfigRequest(request).status
        assert status.error_code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        entry.version_labels["stable"] = 1
        assert stub.HandleReloadConfigRequest(request).status.error_code == 0
        assert answered(server, "/labels/stable") == 1


def channel(server):
    return grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")


def test_a_tflite_model_alone_is_refused_without_the_flag_and_served_with_it(tflite, tmp_path):
    shutil.copytree(tflite, tmp_path / "digits" / "1")
    with pytest.raises(ServingError, match="did not become available"):
        ModelServer(flags(tmp_path / "digits", max_num_load_retries=0))
    with ModelServer(flags(tmp_path / "digits", prefer_tflite_model=True)) as server:
        assert answering.ask_rest(server) == 7
        with channel(server) as connection:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(connection)
            assert answering.ask_grpc(stub) == 7


def test_the_flag_falls_back_to_the_saved_model_silently(numbers, base, tflite):
    with ModelServer(flags(base, prefer_tflite_model=True)) as server:
        assert answering.ask_rest(server) == 1
    shutil.copy(os.path.join(tflite, "model.tflite"), base / "1")
    for preferred, answer in ((True, 7), (False, 1)):
        with ModelServer(flags(base, prefer_tflite_model=preferred)) as server:
            assert answering.ask_rest(server) == answer


def test_a_warm_up_request_that_fails_fails_the_load(numbers, base):
    def write(name, kind="predict_log"):
        request = predict_pb2.PredictRequest()
        request.inputs[name].CopyFrom(tf.make_tensor_proto(answering.ROW))
        log = prediction_log_pb2.PredictionLog()
        if kind == "predict_log":
            log.predict_log.request.CopyFrom(request)
        else:
            log.session_run_log.SetInParent()
        path = base / "1" / "assets.extra" / "tf_serving_warmup_requests"
        path.parent.mkdir(exist_ok=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(log.SerializeToString())

    for arguments in (["other"], ["x", "session_run_log"]):
        write(*arguments)
        with pytest.raises(ServingError):
            ModelServer(flags(base, max_num_load_retries=0))
    with ModelServer(flags(base, enable_model_warmup=False)) as server:
        assert answering.ask_rest(server) == 1
    write("x")
    with ModelServer(flags(base)) as server:
        page = server.metrics.page()
        assert f'model_warmup_latency_count{{model_path="{base}/1",status="OK"}} 1\n' in page


def test_rest_answers_as_documented(numbers, base):
    with ModelServer(flags(base)) as server:
        code, body = get(server, "/v1/models/digits")
        assert code == 200
        assert json.loads(body) == {
            "model_version_status": [
                {
                    "version": "1",
                    "state": "AVAILABLE",
                    "status": {"error_code": "OK", "error_message": ""},
                }
            ]
        }
        assert get(server, "/v1/models/digits/versions/1")[0] == 200
        code, body = get(server, "/v1/models/digits/versions/2")
        assert (code, json.loads(body)) == (
            404,
            {"error": "Could not find version 2 of model digits"},
        )
        metadata = json.loads(get(server, "/v1/models/digits/metadata")[1])
        assert metadata["model_spec"]["name"] == "digits"
        found = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
        assert found["inputs"]["x"]["dtype"] == "DT_FLOAT"
        assert get(server, "/v1/models/other")[0] == 404
        assert get(server, "/v1/models/")[0] == 400
        for body, code in (
            ({"instances": [[1, 1], [3, 3]]}, [1.0, 3.0]),
            ({"instances": [{"x": [1, 1]}]}, [1.0]),
            ({"inputs": {"x": [[2, 2]]}}, [2.0]),
            ({"inputs": [[2, 2]]}, [2.0]),
            ({"instances": [[1, "a"]]}, 400),
            ({"instances": [{"z": [1, 1]}]}, 400),
            ({"signature_name": "no", "instances": [[1, 1]]}, 400),
            ({}, 400),
        ):
            assert post(server, "digits", body) == code
        assert post(server, "digits/versions/9", {"instances": [[1, 1]]}) == 404


def post(server, path, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.rest_port}/v1/models/{path}:predict", json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
            return found["predictions"] if "predictions" in found else found["outputs"]
    except urllib.error.HTTPError as error:
        return error.code


def test_grpc_answers_as_documented(numbers, base):
    with ModelServer(flags(base)) as server, channel(server) as connection:
        predict = prediction_service_pb2_grpc.PredictionServiceStub(connection)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "digits"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(answering.ROW))
        answer = predict.Predict(request)
        assert answer.model_spec.version.value == 1
        assert answer.model_spec.signature_name == "serving_default"
        assert tf.make_ndarray(answer.outputs["y"]).tolist() == [1.0]
        request.inputs["z"].CopyFrom(request.inputs["x"])
        with pytest.raises(grpc.RpcError, match="input size does not match signature"):
            predict.Predict(request)
        request.model_spec.version.value = 5
        with pytest.raises(grpc.RpcError, match=r"Servable not found .*Specific\(digits, 5\)"):
            predict.Predict(request)
        asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        asked.model_spec.name = "digits"
        metadata = get_model_metadata_pb2.SignatureDefMap()
        predict.GetModelMetadata(asked).metadata["signature_def"].Unpack(metadata)
        assert "serving_default" in metadata.signature_def
        model = model_service_pb2_grpc.ModelServiceStub(connection)
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "digits"
        (found,) = model.GetModelStatus(status).model_version_status
        assert (found.version, found.state) == (1, 30)
        status.model_spec.name = "other"
        with pytest.raises(grpc.RpcError, match="Could not find any versions of model other"):
            model.GetModelStatus(status)


def test_the_prometheus_page_has_the_form_of_the_exporter(base):
    with ModelServer(flags(base)) as server:
        answering.ask_rest(server)
        get(server, "/v1/models/digits")
        get(server, "/v1/models/other")
        code, page = get(server, "/monitoring/prometheus/metrics")
        with channel(server) as connection:
            answering.ask_grpc(prediction_service_pb2_grpc.PredictionServiceStub(connection))
    assert code == 200
    lines = page.split("\n")
    assert lines[-1] == ""
    assert lines[0] == "# TYPE :tensorflow:cc:saved_model:load_attempt_count counter"
    assert (
        f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{base}/1",status="success"}} 1'
        in lines
    )
    assert ":tensorflow:core:graph_runs{} 1" in lines
    assert ':tensorflow:serving:request_count{model_name="digits",status="OK"} 2' in lines
    assert ':tensorflow:serving:request_count{model_name="other",status="NOT_FOUND"} 1' in lines
    prefix = ":tensorflow:serving:request_latency_bucket{"
    labels = 'model_name="digits",API="predict",entrypoint="REST"'
    buckets = [line for line in lines if line.startswith(prefix + labels)]
    assert len(buckets) == len(BOUNDS) + 1
    assert buckets[0].startswith(f'{prefix}{labels},le="10"}} ')
    assert f'{labels},le="18"}} ' in buckets[1]
    assert buckets[-1] == f'{prefix}{labels},le="+Inf"}} 1'
    assert not [line for line in lines if line.startswith("# HELP")]
