"""Models that answer every row with one number, and clients that ask without a pause."""

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfx_shrink.tflite.signature_defs import add_signature_defs

ROW = np.ones([1, 2], np.float32)


def save(directory, number):
    """A SavedModel with a variable; returns its directory."""
    module, function = _model(number)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": function})
    return str(directory)


def save_tflite(directory, number):
    """A directory that holds a TFLite model alone, as the Quantizer lays it out."""
    module, function = _model(number)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    content = add_signature_defs(converter.convert(), ["serving_default"])
    os.makedirs(directory)
    for name in ("tflite", "model.tflite"):
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
    return str(directory)


def _model(number):
    module = tf.Module()
    module.weight = tf.Variable([number, number], dtype=tf.float32, name="weight")

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def serve(x):
        return {"y": tf.reduce_mean(x * module.weight, -1)}

    module.serve = serve
    return module, serve


def ask_rest(server, path="", name="digits"):
    """The answer of one REST request; raises urllib.error.HTTPError."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.rest_port}/v1/models/{name}{path}:predict",
        json.dumps({"instances": ROW.tolist()}).encode(),
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"][0]


def ask_grpc(stub, label="", name="digits"):
    """The answer of one gRPC request; raises grpc.RpcError."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    if label:
        request.model_spec.version_label = label
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(ROW))
    return float(tf.make_ndarray(stub.Predict(request, timeout=60).outputs["y"])[0])


class Asked:
    """What clients were answered: numbers in their order, and every error."""

    def __init__(self):
        self.answers, self.errors = [], []

    def wait_for(self, number, seconds=60):
        """Waits until an answer that is asked for from now on is this number."""
        deadline = time.monotonic() + seconds
        start = len(self.answers)
        while number not in self.answers[start:]:
            assert time.monotonic() < deadline, f"no {number} in {self.answers[-3:]}, {self.errors}"
            time.sleep(0.01)


@contextlib.contextmanager
def constantly(server, label="", name="digits"):
    """Asks by REST and by gRPC, at the same time, as long as the context lasts; yields Asked."""
    asked, stop = Asked(), threading.Event()
    path = f"/labels/{label}" if label else ""

    def ask_until_stopped(ask):
        while not stop.is_set():
            try:
                asked.answers.append(ask())
            except (urllib.error.URLError, grpc.RpcError, OSError) as error:
                asked.errors.append(error)
            time.sleep(0.002)

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        threads = [
            threading.Thread(target=ask_until_stopped, args=[ask])
            for ask in (
                lambda: ask_rest(server, path, name),
                lambda: ask_grpc(stub, label, name),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            yield asked
        finally:
            stop.set()
            for thread in threads:
                thread.join()
