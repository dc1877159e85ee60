"""gRPC: prediction_service_impl.cc, model_service_impl.cc, get_model_status_impl.cc."""

import time

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from support.serving_model.servables import predict
from support.serving_model.status import CODES, ServingError

STATES = get_model_status_pb2.ModelVersionStatus.State


def model_status(core, spec):
    """GetModelStatusImpl: also what was unloaded, and what failed, as END."""
    states, version = core.manager.states(spec.name), core.version_of(spec)
    if version is not None:
        if version not in states:
            message = f"Could not find version {version} of model {spec.name}"
            raise ServingError("NOT_FOUND", message)
        states = {version: states[version]}
    if not states:
        raise ServingError("NOT_FOUND", f"Could not find any versions of model {spec.name}")
    answer = get_model_status_pb2.GetModelStatusResponse()
    for number, (state, error) in sorted(states.items(), reverse=True):
        found = answer.model_version_status.add(version=number, state=STATES.Value(state))
        found.status.error_code = error.number if error else 0
        found.status.error_message = error.message if error else ""
    return answer


def model_metadata(core, spec):
    """GetModelMetadataImpl."""
    answer = get_model_metadata_pb2.GetModelMetadataResponse()
    with core.servable(spec) as (servable, version):
        answer.model_spec.name, answer.model_spec.version.value = spec.name, version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in servable.signatures.items():
            kept = meta_graph_pb2.SignatureDef()
            kept.CopyFrom(definition)
            signatures.signature_def[name].CopyFrom(kept)
        answer.metadata["signature_def"].Pack(signatures)
    return answer


def answer_predict(core, request, metrics):
    """TensorflowPredictor::Predict: a PredictResponse."""
    answer = predict_pb2.PredictResponse()
    with core.servable(request.model_spec) as (servable, version):
        started = time.perf_counter()
        signature, outputs = predict(servable, request)
        micros = (time.perf_counter() - started) * 1e6
    metrics.count("/tensorflow/core/graph_runs")
    name = request.model_spec.name
    metrics.observe("/tensorflow/serving/runtime_latency", micros, name, "Predict", "TF1")
    answer.model_spec.name, answer.model_spec.version.value = name, version
    answer.model_spec.signature_name = signature
    for key, value in outputs.items():
        answer.outputs[key].CopyFrom(tf.make_tensor_proto(value))
    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; the rest is UNIMPLEMENTED."""

    def __init__(self, core, metrics):
        self._core, self._metrics = core, metrics

    def Predict(self, request, context):  # noqa: N802
        name, started, code = request.model_spec.name, time.perf_counter(), "OK"
        try:
            return answer_predict(self._core, request, self._metrics)
        except ServingError as error:
            code = error.code
            context.abort(CODES[code], error.message)
        finally:
            self._metrics.count("/tensorflow/serving/request_count", name, code)
            if code == "OK":
                micros = (time.perf_counter() - started) * 1e6
                labels = (name, "Predict", "GRPC")
                self._metrics.observe("/tensorflow/serving/request_latency", micros, *labels)

    def GetModelMetadata(self, request, context):  # noqa: N802
        try:
            if list(request.metadata_field) != ["signature_def"]:
                raise ServingError("INVALID_ARGUMENT", "Metadata field is not supported")
            return model_metadata(self._core, request.model_spec)
        except ServingError as error:
            context.abort(CODES[error.code], error.message)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus and HandleReloadConfigRequest."""

    def __init__(self, core):
        self._core = core

    def GetModelStatus(self, request, context):  # noqa: N802
        try:
            return model_status(self._core, request.model_spec)
        except ServingError as error:
            context.abort(CODES[error.code], error.message)

    def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        """Its error is part of the answer, whose own status is OK."""
        answer = model_management_pb2.ReloadConfigResponse()
        try:
            self._core.reload(request.config)
        except ServingError as error:
            answer.status.error_code, answer.status.error_message = error.number, error.message
        return answer
