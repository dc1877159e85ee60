"""Loads one version, and asks it."""

import threading
import time

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from support.serving_model.status import ServingError, as_serving_errors
from tfx_shrink.saved_model.cpp_session import CppSession
from tfx_shrink.tflite.signature_defs import read_signature_defs

_WARMUP = "assets.extra/tf_serving_warmup_requests"
_MOST_WARMUPS = 1000  # saved_model_warmup_util.h, kMaxNumRecords


def load(path, *, prefer_tflite_model, enable_model_warmup, metrics):
    """saved_model_bundle_factory.cc, InternalCreateSavedModelBundle; then the warm-up."""
    tflite = tf.io.gfile.join(path, "model.tflite")
    started = time.perf_counter()
    try:
        # Without the flag, or without the file, silently the SavedModel.
        if prefer_tflite_model and tf.io.gfile.exists(tflite):
            servable = TFLiteServable(tflite)
        else:
            servable = SavedModelServable(path)
    except ServingError:
        metrics.count("/tensorflow/cc/saved_model/load_attempt_count", path, "fail")
        raise
    metrics.count("/tensorflow/cc/saved_model/load_attempt_count", path, "success")
    micros = int((time.perf_counter() - started) * 1e6)
    metrics.count("/tensorflow/cc/saved_model/load_latency", path, by=micros)
    if enable_model_warmup:
        _warm_up(servable, path, metrics)
    return servable


class SavedModelServable:
    """A SavedModel in the C++ session of TensorFlow (cc/saved_model/loader.cc)."""

    def __init__(self, path):
        with as_serving_errors("NOT_FOUND"):
            self._session = CppSession(path, threads=1)
        with tf.io.gfile.GFile(tf.io.gfile.join(path, "saved_model.pb"), "rb") as file:
            graphs = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs
        (graph,) = [graph for graph in graphs if list(graph.meta_info_def.tags) == ["serve"]]
        self.signatures = dict(graph.signature_def)

    def run(self, signature, inputs):
        with as_serving_errors("FAILED_PRECONDITION"):
            return self._session.run(signature, inputs)

    def close(self):
        self._session.close()


class TFLiteServable:
    """tflite_session.cc: the builtin kernels, one request at a time, names from the metadata."""

    def __init__(self, path):
        with tf.io.gfile.GFile(path, "rb") as file:
            content = file.read()
        try:
            self._interpreter = tf.lite.Interpreter(
                model_content=content,
                experimental_op_resolver_type=(
                    tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                ),
            )
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ServingError("INTERNAL", f"Cannot build Interpreter: {error}") from error
        self._lock = threading.Lock()
        self._inputs = self._by_name(self._interpreter.get_input_details())
        self._outputs = self._by_name(self._interpreter.get_output_details())
        self.signatures = read_signature_defs(content) or self._made_up()

    def run(self, signature, inputs):
        definition = self.signatures[signature]
        with self._lock:
            for name, info in definition.inputs.items():
                self._fill(self._tensor(self._inputs, info.name), inputs[name])
            self._interpreter.invoke()
            return {
                name: self._interpreter.get_tensor(self._tensor(self._outputs, info.name)["index"])
                for name, info in definition.outputs.items()
            }

    def close(self):
        self._interpreter = None

    def _fill(self, detail, array):
        if tuple(array.shape) != tuple(self._interpreter.get_tensor(detail["index"]).shape):
            self._interpreter.resize_tensor_input(detail["index"], array.shape)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(detail["index"], np.asarray(array, detail["dtype"]))

    @staticmethod
    def _by_name(details):
        return {detail["name"]: detail for detail in details}

    @staticmethod
    def _tensor(tensors, name):
        """FixTfLiteTensorName: as it is called, else without the number of the output."""
        found = tensors.get(name) or tensors.get(name.partition(":")[0])
        if found is None:
            raise ServingError("INVALID_ARGUMENT", f"Missing TFLite tensor: {name}")
        return found

    def _made_up(self):
        """Without metadata every tensor is served under its own name."""
        definition = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
        for infos, tensors in (
            (definition.inputs, self._inputs),
            (definition.outputs, self._outputs),
        ):
            for name, detail in tensors.items():
                infos[name].name = name
                infos[name].dtype = tf.as_dtype(detail["dtype"]).as_datatype_enum
        return {"serving_default": definition}


def predict(servable, request):
    """predict_impl.cc: a PredictRequest's answer by output name.

    Returns:
      (signature's name, {output: array}).
    """
    name = request.model_spec.signature_name or "serving_default"
    if name not in servable.signatures:
        message = f'Serving signature key "{name}" not found.'
        raise ServingError("FAILED_PRECONDITION", message)
    wanted = set(servable.signatures[name].inputs)
    if set(request.inputs) != wanted:
        missing, extra = sorted(wanted - set(request.inputs)), sorted(set(request.inputs) - wanted)
        raise ServingError(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(request.inputs)}!={len(wanted)} "
            f"Sent extra: {extra}. Missing but required: {missing}.",
        )
    arrays = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
    outputs = servable.run(name, arrays)
    chosen = list(request.output_filter) or list(outputs)
    return name, {key: outputs[key] for key in chosen}


def _warm_up(servable, path, metrics):
    """saved_model_warmup.cc: one request that fails, fails the load."""
    file = tf.io.gfile.join(path, _WARMUP)
    if not tf.io.gfile.exists(file):
        return
    started, status = time.perf_counter(), "OK"
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(file).as_numpy_iterator()):
            if number >= _MOST_WARMUPS:
                raise ServingError(
                    "INVALID_ARGUMENT", f"Number of warmup records exceeeds the maximum at {file}"
                )
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind != "predict_log":
                raise ServingError("UNIMPLEMENTED", f"Unsupported log_type for warmup: {kind}")
            predict(servable, log.predict_log.request)
    except ServingError as error:
        status = error.code
        raise
    finally:
        micros = (time.perf_counter() - started) * 1e6
        metrics.observe("/tensorflow/serving/model_warmup_latency", micros, path, status)
