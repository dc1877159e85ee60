"""The model of TensorFlow Serving answers, counts and warms up as the real one does."""

import json
import os
import shutil
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from support import answering
from support.server_questions import channel, flags, get
from support.serving_model import ModelServer, ServingError
from support.serving_model.metrics import BOUNDS
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)


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
