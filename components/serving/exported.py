"""Whether a TensorFlow Serving would export metrics at all.

It exports them over REST alone, where a monitoring configuration says so
(tensorflow_serving/model_servers/server.cc, http_server.cc): without one of both it starts without
a word, and every dashboard and alert is empty.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from tfx_shrink.errors import ParameterError
from tfx_shrink.serving.config_text import parse_monitoring

_BINARY = "tensorflow_model_server"
_DEFAULT_GRPC_PORT = "8500"


def check_exported(arguments: Sequence[str], configs: Mapping[str, str]) -> None:
    """Refuses a configuration of TensorFlow Serving that would export nothing.

    Example:
      ```python
      check_exported(
          ["--rest_api_port=8501", "--monitoring_config_file=/config/monitoring.config"],
          {"monitoring.config": "prometheus_config { enable: true }"},
      )
      ```

    Args:
      arguments: Of `tensorflow_model_server`, each `--name=value`.
      configs: {file name: text} of the files that it is started with.

    Raises:
      ParameterError: Prometheus would find nothing; the text says what is missing.
    """
    flags = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
    rest, grpc = flags.get("rest_api_port", "0"), flags.get("port", _DEFAULT_GRPC_PORT)
    if rest == "0":
        raise ParameterError(
            "TensorFlow Serving exports metrics over REST only: it needs `--rest_api_port`, also "
            "where clients speak gRPC only. Add --rest_api_port=8501."
        )
    if rest == grpc:
        raise ParameterError(
            "`--rest_api_port` must not be `--port`, or TensorFlow Serving opens no REST at all. "
            f"Received: --port={grpc}, --rest_api_port={rest}."
        )
    path = flags.get("monitoring_config_file", "")
    if not path:
        raise ParameterError(
            "TensorFlow Serving exports metrics only with `--monitoring_config_file`. Add "
            "--monitoring_config_file=/config/monitoring.config."
        )
    name = os.path.basename(path)
    if name not in configs:
        raise ParameterError(
            f"`--monitoring_config_file` is {path}, and no file {name} is there: "
            f"{sorted(configs)}. Without it TensorFlow Serving does not start."
        )
    if not parse_monitoring(configs[name]).prometheus_config.enable:
        raise ParameterError(
            f"{name} must hold `prometheus_config {{ enable: true }}`. Received: {configs[name]!r}."
        )


def check_manifests(text: str) -> list[str]:
    """Checks every TensorFlow Serving in Kubernetes manifests.

    Args:
      text: YAML documents, as `kubectl kustomize` renders them.

    Returns:
      What was checked, as `Kind/name`.

    Raises:
      ParameterError: One would export nothing, or there is none, or the text is no YAML.
    """
    try:
        documents = [item for item in yaml.safe_load_all(text) if isinstance(item, dict)]
    except yaml.YAMLError as error:
        raise ParameterError(f"The manifests are no YAML: {error}.") from error
    configs = {
        item["metadata"]["name"]: item.get("data") or {}
        for item in documents
        if item.get("kind") == "ConfigMap"
    }
    checked = []
    for server in (found for item in documents for found in _servers(item)):
        files: dict[str, str] = {}
        for name in server.config_maps:
            files.update(configs.get(name, {}))
        try:
            check_exported(server.arguments, files)
        except ParameterError as error:
            raise ParameterError(f"{server.name}: {error}") from error
        checked.append(server.name)
    if not checked:
        raise ParameterError(
            f"No container of the manifests runs {_BINARY}. Render them with `kubectl kustomize`."
        )
    return checked


@dataclasses.dataclass(frozen=True)
class _Server:
    name: str
    arguments: Sequence[str]
    config_maps: Sequence[str]


def _servers(document: Mapping[str, Any]) -> Iterator[_Server]:
    for pod in _pods(document):
        names = []
        for volume in pod.get("volumes") or ():
            sources = [volume, *(volume.get("projected") or {}).get("sources", ())]
            names += [source["configMap"]["name"] for source in sources if "configMap" in source]
        for container in pod["containers"]:
            command = [*(container.get("command") or ()), *(container.get("args") or ())]
            if command and os.path.basename(command[0]) == _BINARY:
                name = f"{document['kind']}/{document['metadata']['name']}"
                yield _Server(name, command[1:], names)


def _pods(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every pod's spec, wherever a kind keeps it."""
    if isinstance(value, dict):
        if isinstance(value.get("containers"), list):
            yield value
        for inner in value.values():
            yield from _pods(inner)
