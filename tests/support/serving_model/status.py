"""Canonical error codes, as TensorFlow names and numbers them."""

import contextlib

import grpc

from tfx_shrink.errors import ModelError, ParameterError

CODES = {code.value[1].upper().replace(" ", "_"): code for code in grpc.StatusCode}
# model_servers/http_server.cc, ToHTTPStatusCode.
HTTP = {
    "OK": 200,
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class ServingError(Exception):
    """What TensorFlow calls a Status that is not OK."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message

    @property
    def http(self):
        return HTTP.get(self.code, 500)

    @property
    def number(self):
        return CODES[self.code].value[0]


@contextlib.contextmanager
def as_serving_errors(code="INVALID_ARGUMENT"):
    """Gives what our own session refuses the code that the real one would have."""
    try:
        yield
    except ParameterError as error:
        raise ServingError("INVALID_ARGUMENT", str(error)) from error
    except ModelError as error:
        raise ServingError(code, str(error)) from error
