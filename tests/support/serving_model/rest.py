"""HTTP: model_servers/http_rest_api_handler.cc, http_server.cc and util/json_tensor.cc."""

import base64
import http.server
import json
import re
import time

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import model_pb2, predict_pb2

from support import stack
from support.serving_model.services import answer_predict, model_metadata, model_status
from support.serving_model.status import ServingError

_PATH = re.compile(
    r"(?i)/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<rest>:(?:classify|regress|predict)|/metadata)?"
)

# protobuf 4 and 6 call it so.
_WITH_DEFAULTS = {
    "always_print_fields_with_no_presence"
    if stack.TFX_1_21
    else "including_default_value_fields": True
}


def handler(core, metrics):
    """The class of a server's handlers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/monitoring/prometheus/metrics" and core.flags.prometheus:
                self._send(200, "text/plain", metrics.page())
            elif self.path.startswith("/v1/"):
                self._rest("GET", b"")
            else:
                self._send(404, "text/plain", "Not Found")

        def do_POST(self):
            self._rest("POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def log_message(self, *_):
            pass

        def _rest(self, verb, body):
            started, name, method, code, status = time.perf_counter(), "", "", "OK", 200
            try:
                found = _PATH.fullmatch(self.path)
                if found is None:
                    message = f"Malformed request: {verb} {self.path}"
                    raise ServingError("INVALID_ARGUMENT", message)
                name, rest = found["name"], found["rest"] or ""
                method = rest.lstrip(":") if rest.startswith(":") else ""
                text = _answer(core, metrics, verb, _spec(found), rest, body)
            except ServingError as error:
                code, status = error.code, error.http
                text = json.dumps({"error": error.message}, indent=4)
            # Probes are counted, too, and where a path is malformed the name is empty.
            metrics.count("/tensorflow/serving/request_count", name, code)
            if code == "OK":
                micros = (time.perf_counter() - started) * 1e6
                labels = (name, method, "REST")
                metrics.observe("/tensorflow/serving/request_latency", micros, *labels)
            self._send(status, "application/json", text)

        def _send(self, status, kind, text):
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _spec(found):
    spec = model_pb2.ModelSpec(name=found["name"])
    if found["version"]:
        spec.version.value = int(found["version"])
    if found["label"]:
        spec.version_label = found["label"]
    return spec


def _answer(core, metrics, verb, spec, rest, body):
    """ProcessRequest: the text of a good answer."""
    if verb == "GET" and rest == "/metadata":
        return _to_json(model_metadata(core, spec))
    if verb == "GET" and not rest:
        return _to_json(model_status(core, spec))
    if verb == "POST" and rest == ":predict":
        return _predict(core, metrics, spec, body)
    raise ServingError("INVALID_ARGUMENT", f"Malformed request: {verb} {rest}")


def _to_json(message):
    return json_format.MessageToJson(
        message, **_WITH_DEFAULTS, preserving_proto_field_name=True, indent=1
    )


def _predict(core, metrics, spec, body):
    try:
        given = json.loads(body)
        rows = "instances" in given
        values = given["instances"] if rows else given["inputs"]
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError("INVALID_ARGUMENT", f"JSON Parse error: {error!r}") from error
    request = predict_pb2.PredictRequest(model_spec=spec)
    request.model_spec.signature_name = given.get("signature_name", "serving_default")
    with core.servable(spec) as (servable, version):
        definition = servable.signatures.get(request.model_spec.signature_name)
        if definition is None:
            name = request.model_spec.signature_name
            message = f'Serving signature name: "{name}" not found in signature def'
            raise ServingError("INVALID_ARGUMENT", message)
        for key, value in _by_name(values, list(definition.inputs), rows).items():
            if key in definition.inputs:
                dtype = tf.as_dtype(definition.inputs[key].dtype)
                request.inputs[key].CopyFrom(tf.make_tensor_proto(_array(value, dtype)))
        request.model_spec.version.value = version  # Of a swap in between nobody hears.
        answer = answer_predict(core, request, metrics)
    outputs = {key: tf.make_ndarray(value) for key, value in answer.outputs.items()}
    return json.dumps(_rows(outputs) if rows else _columns(outputs), indent=4, default=_plain)


def _by_name(values, names, rows):
    if rows and values and isinstance(values[0], dict) and "b64" not in values[0]:
        return {name: [row[name] for row in values] for name in values[0]}
    if not rows and isinstance(values, dict) and "b64" not in values:
        return values
    if len(names) != 1:
        raise ServingError("INVALID_ARGUMENT", f"Failed to process element: give {names} by name")
    return {names[0]: values}


def _array(value, dtype):
    def decoded(item):
        if isinstance(item, list):
            return [decoded(part) for part in item]
        if isinstance(item, dict):
            return base64.b64decode(item["b64"])
        return item

    try:
        kind = object if dtype == tf.string else dtype.as_numpy_dtype
        return np.array(decoded(value), kind)
    except (KeyError, TypeError, ValueError) as error:
        message = f"Failed to process element: {error}"
        raise ServingError("INVALID_ARGUMENT", message) from error


def _rows(outputs):
    """MakeRowFormatJsonFromTensors."""
    sizes = {len(array) if array.ndim else None for array in outputs.values()}
    if len(sizes) != 1 or sizes == {None}:
        message = "Tensor name: has inconsistent batch size; use the columnar format"
        raise ServingError("INVALID_ARGUMENT", message)
    if len(outputs) == 1:
        (array,) = outputs.values()
        return {"predictions": array.tolist()}
    named = {name: array.tolist() for name, array in outputs.items()}
    return {
        "predictions": [
            {name: values[row] for name, values in named.items()} for row in range(*sizes)
        ]
    }


def _columns(outputs):
    named = {name: array.tolist() for name, array in outputs.items()}
    return {"outputs": named if len(named) > 1 else next(iter(named.values()))}


def _plain(value):
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(value)
