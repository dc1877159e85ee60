"""Asks servers without a pause, from a pod.

python constant_requests.py SECONDS NAME=KIND,ADDRESS,LABEL NAME=KIND,ADDRESS,LABEL

KIND is rest (a connection for each request), grpc (one channel to one address), or pods (a channel
to every address of a name, by turns). Prints a line of JSON twice a second, and ends after SECONDS
or when its standard input is closed. Needs nothing of this project.
"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = "digits"
ROW = [[1.0, 1.0]]
PAUSE = 0.02
TIMEOUT = 10


def ask_rest(address, label):
    """A function that asks once and returns the answer."""
    url = f"http://{address}/v1/models/{MODEL}/labels/{label}:predict"
    if label == "latest":
        url = f"http://{address}/v1/models/{MODEL}:predict"
    body = json.dumps({"instances": ROW}).encode()

    def ask():
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT) as answer:
            return json.load(answer)["predictions"][0]

    return ask


def ask_grpc(address, label, options=()):
    """A function that asks once and returns the answer."""
    stub = prediction_service_pb2_grpc.PredictionServiceStub(
        grpc.insecure_channel(address, options=options)
    )
    request = predict_pb2.PredictRequest()
    request.model_spec.name = MODEL
    if label != "latest":
        request.model_spec.version_label = label
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(ROW, tf.float32))

    def ask():
        answer = stub.Predict(request, timeout=TIMEOUT)
        return float(tf.make_ndarray(answer.outputs["y"])[0])

    return ask


def ask_pods(address, label):
    """The same, of every pod by turns."""
    return ask_grpc(f"dns:///{address}", label, [("grpc.lb_policy_name", "round_robin")])


KINDS = {"rest": ask_rest, "grpc": ask_grpc, "pods": ask_pods}


class Asker:
    """Asks one target until it is stopped; a target that does not answer yet is waited for."""

    def __init__(self, kind, address, label):
        self._ask = KINDS[kind](address, label)
        self.answers, self.errors, self.seconds = {}, [], []
        self.last = None

    def run(self, stop):
        started = False
        while not stop.wait(PAUSE):
            begun = time.monotonic()
            try:
                self.last = self._ask()
            except (urllib.error.URLError, grpc.RpcError, OSError) as error:
                if started:
                    self.errors.append([time.time(), time.monotonic() - begun, _text(error)])
                continue
            started = True
            self.seconds.append(time.monotonic() - begun)
            self.answers[self.last] = self.answers.get(self.last, 0) + 1

    def told(self):
        taken = sorted(self.seconds)
        return {
            "answers": self.answers,
            "errors": self.errors,
            "last": self.last,
            "p50_ms": round(1e3 * taken[len(taken) // 2], 1) if taken else None,
            "p99_ms": round(1e3 * taken[len(taken) * 99 // 100], 1) if taken else None,
        }


def _text(error):
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code}: {error.read().decode()}"
    return repr(error)


def main():
    seconds, *targets = sys.argv[1:]
    stop = threading.Event()
    askers = {}
    for target in targets:
        name, _, what = target.partition("=")
        askers[name] = Asker(*what.split(","))
        threading.Thread(target=askers[name].run, args=[stop], daemon=True).start()

    def watch_input():
        sys.stdin.read()
        stop.set()

    threading.Thread(target=watch_input, daemon=True).start()
    deadline = time.monotonic() + float(seconds)
    while not stop.wait(0.5) and time.monotonic() < deadline:
        print(json.dumps({name: asker.told() for name, asker in askers.items()}), flush=True)
    stop.set()
    time.sleep(TIMEOUT / 10)
    print(json.dumps({name: asker.told() for name, asker in askers.items()}), flush=True)


if __name__ == "__main__":
    main()
