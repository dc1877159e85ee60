"""A running server: model_servers/server.cc."""

import contextlib
import http.server
import socket
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from support.serving_model.core import Core
from support.serving_model.metrics import Metrics
from support.serving_model.rest import handler
from support.serving_model.services import ModelService, PredictionService


class _Rest(http.server.ThreadingHTTPServer):
    """Ends its clients' connections, too, as a process that ends does."""

    def __init__(self, *arguments):
        self._connections = weakref.WeakSet()
        super().__init__(*arguments)

    def get_request(self):
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def server_close(self):
        super().server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):  # It has ended already.
                connection.shutdown(socket.SHUT_RDWR)


class ModelServer:
    """tensorflow_model_server, as a context manager; its ports open when all models are loaded.

    Args:
      flags: Its flags.
      timeout: For how many seconds a start is awaited; with None for ever, as the real one does.
      host: Where it listens.
      grpc_port, rest_port: On which ports; 0 is a free one.
      grpc_options: --grpc_channel_arguments.

    Attributes:
      grpc_port, rest_port: Where it listens.
      metrics: What the Prometheus page is made of.
      log: The errors that the real one would log and go on.
    """

    def __init__(
        self, flags, timeout=60, *, host="127.0.0.1", grpc_port=0, rest_port=0, grpc_options=()
    ):
        self.metrics = Metrics()
        self.core = Core(flags, self.metrics)
        self.log = self.core.log
        try:
            self.core.start(timeout)
        except BaseException:
            self.core.close()
            raise
        self._grpc = grpc.server(ThreadPoolExecutor(4), options=grpc_options)
        prediction = PredictionService(self.core, self.metrics)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(prediction, self._grpc)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self.core), self._grpc
        )
        self.grpc_port = self._grpc.add_insecure_port(f"{host}:{grpc_port}")
        self._grpc.start()
        self._http = None
        if flags.rest_api:
            self._http = _Rest((host, rest_port), handler(self.core, self.metrics))
            self.rest_port = self._http.server_port
            self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
            self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._grpc.stop(None).wait()
        if self._http:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
        self.core.close()
