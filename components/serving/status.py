"""What a running TensorFlow Serving says of a version, by gRPC or by REST."""

import dataclasses
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from tfx_shrink.errors import ParameterError

AVAILABLE, END = "AVAILABLE", "END"
# Not among TensorFlow Serving's own: it does not know the version, or does not answer.
UNKNOWN, SILENT = "UNKNOWN", "SILENT"
_NOT_FOUND = 404
_ADDRESS = re.compile(
    r"(?P<scheme>grpc://|http://|)(?P<host>\[[0-9a-fA-F:.]+\]|[^\s/:@]+):(?P<port>\d+)/?"
)


@dataclasses.dataclass(frozen=True)
class VersionState:
    """One server's word on one version.

    Attributes:
      server: Which server, `<ip>:<port>`.
      state: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`; `UNKNOWN` where the server does
        not know the version, `SILENT` where it does not answer.
      error: Why a load failed, or why there is no answer; else empty.
    """

    server: str
    state: str
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether every retry has failed: the server never tries this version again.

        See tensorflow_serving/core/loader_harness.cc.
        """
        return self.state == END and bool(self.error)


@dataclasses.dataclass(frozen=True)
class Address:
    """Where servers listen.

    Attributes:
      rest: Whether REST is spoken there, or gRPC.
      host: Its name; all servers behind it are asked.
      port: Its port.
    """

    rest: bool
    host: str
    port: int


def parse_address(address: str) -> Address:
    """Checks an address.

    Args:
      address: `host:8500` or `grpc://host:8500` for gRPC, `http://host:8501` for REST.

    Raises:
      ParameterError: It is none of these.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 1 << 16:
        raise ParameterError(
            "`address` must be host:port or grpc://host:port for gRPC, or http://host:port for "
            f"REST. Received: address={address!r}."
        )
    return Address(match["scheme"] == "http://", match["host"].strip("[]"), int(match["port"]))


def ask(address: Address, model_name: str, version: int, timeout: float) -> list[VersionState]:
    """Asks every server behind an address for the state of a version.

    Args:
      address: From `parse_address`. A headless Service's name stands for all of its pods.
      model_name: The model.
      version: The version.
      timeout: How many seconds one answer may take.

    Returns:
      What each server says.
    """
    try:
        servers = servers_of(address)
    except OSError as error:
        return [VersionState(f"{address.host}:{address.port}", SILENT, str(error))]
    one = _by_rest if address.rest else _by_grpc
    return [one(server, model_name, version, timeout) for server in servers]


def servers_of(address: Address) -> list[str]:
    """Returns every server behind an address, `<ip>:<port>`.

    Args:
      address: From `parse_address`.

    Raises:
      OSError: Its name does not resolve.
    """
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    # A pod of both families has an address in each, and the server listens on the first alone.
    ipv4 = [item[4][0] for item in found if item[0] == socket.AF_INET]
    hosts = ipv4 or [f"[{item[4][0]}]" for item in found]
    return [f"{host}:{address.port}" for host in dict.fromkeys(hosts)]


def _by_rest(server: str, model_name: str, version: int, timeout: float) -> VersionState:
    name = urllib.parse.quote(model_name, safe="")
    url = f"http://{server}/v1/models/{name}/versions/{version}"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            (found,) = json.load(answer)["model_version_status"]
            return VersionState(server, found["state"], found["status"].get("error_message", ""))
    except urllib.error.HTTPError as error:
        if error.code == _NOT_FOUND:
            return VersionState(server, UNKNOWN)
        return VersionState(server, SILENT, f"HTTP status {error.code}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return VersionState(server, SILENT, str(error))


def _by_grpc(server: str, model_name: str, version: int, timeout: float) -> VersionState:
    import grpc

    try:
        return model_status(server, model_name, timeout, version)[version]
    except grpc.RpcError as error:
        code = error.code()
        if code == grpc.StatusCode.NOT_FOUND:
            return VersionState(server, UNKNOWN)
        return VersionState(server, SILENT, f"{code.name}: {error.details()}")


def model_status(
    server: str, model_name: str, timeout: float, version: int | None = None
) -> dict[int, VersionState]:
    """Asks one server for the states of a model's versions, by GetModelStatus.

    Args:
      server: `<ip>:<port>` of gRPC.
      model_name: The model.
      timeout: How many seconds its answer may take.
      version: The only one to ask for. Defaults to None: all that it knows.

    Returns:
      `{version: its state}`.

    Raises:
      grpc.RpcError: It does not answer, or knows no such model or version.
    """
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = model_name
    if version is not None:
        request.model_spec.version.value = version
    with grpc.insecure_channel(server) as channel:
        service: Any = model_service_pb2_grpc.ModelServiceStub(channel)
        found = service.GetModelStatus(request, timeout=timeout).model_version_status
    names = get_model_status_pb2.ModelVersionStatus.State
    return {
        item.version: VersionState(server, names.Name(item.state), item.status.error_message)
        for item in found
    }
