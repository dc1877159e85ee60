"""Reads a compiled file as KFP's API server does when a run is created.

Sources: backend/src/apiserver/template/v2_template.go, backend/src/v2/compiler.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.pipeline_spec import all_tasks, references_to_tasks

_ARGO_NAME = re.compile("[-a-zA-Z0-9]+")
_CONVERT: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": lambda text: {"true": True, "false": False}[text.lower()],
    "LIST": json.loads,
    "STRUCT": json.loads,
}


def read_compiled(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the pipeline spec and, of each executor that has one, the Kubernetes settings.

    Raises:
      ParameterError: The file is not there, or KFP would not take it; the text says what KFP says.
    """
    if not os.path.isfile(path):
        raise ParameterError(f"{path} is not a file. `tfx-shrink compile` writes one.")
    with open(path, encoding="utf-8") as file:
        documents = [found for found in yaml.safe_load_all(file) if found]
    if not documents or not isinstance(documents[0], dict) or "pipelineInfo" not in documents[0]:
        raise ParameterError(f"{path}: unknown template format. It must hold a pipeline spec.")
    spec = documents[0]
    check_spec(spec)
    platform: dict[str, Any] = {}
    for document in documents[1:]:
        kubernetes = document.get("platforms", {}).get("kubernetes", {})
        platform |= kubernetes.get("deploymentSpec", {}).get("executors", {})
    return spec, platform


def check_spec(spec: dict[str, Any]) -> None:
    """Checks a pipeline spec.

    Raises:
      ParameterError: KFP would refuse to create the run.
    """
    if spec.get("schemaVersion") != "2.1.0":
        raise ParameterError(
            f"KFP only supports schema version 2.1.0. Received: {spec.get('schemaVersion')!r}."
        )
    _parse_strictly(spec)
    for tasks in all_tasks(spec):
        for name, task in tasks.items():
            if not _ARGO_NAME.fullmatch(name):
                raise ParameterError(f"Task {name}: invalid dependency name for Argo.")
            _check_executor(spec, name, task)
            named = [source["producerTask"] for source in references_to_tasks(task)]
            for producer in (*task.get("dependentTasks", []), *named):
                if producer not in tasks:
                    raise ParameterError(
                        f"Task {name}: failed to add implicit deps: unknown producer task "
                        f"{producer!r}."
                    )


def read_parameters(spec: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of every runtime parameter.

    Args:
      spec: The pipeline spec.
      given: Values by name; texts are converted to the parameter's type.

    Raises:
      ParameterError: A value is missing, unknown or of the wrong type.
    """
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if unknown := sorted(set(given) - set(declared)):
        raise ParameterError(
            f"The pipeline has no runtime parameters {unknown}; it has {sorted(declared)}."
        )
    values = {}
    for name, parameter in declared.items():
        if name in given:
            values[name] = _convert(name, given[name], parameter["parameterType"])
        elif "defaultValue" in parameter:
            values[name] = parameter["defaultValue"]
        elif not parameter.get("isOptional"):
            raise ParameterError(
                f"The runtime parameter {name!r} ({parameter['parameterType']}) is not optional, "
                f"yet has neither default value nor user provided value. Give it: "
                f"--parameter {name}=VALUE."
            )
    return values


def _parse_strictly(spec: dict[str, Any]) -> None:
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig())
    except json_format.ParseError as error:
        raise ParameterError(f"The pipeline spec is not one: {error}") from error


def _check_executor(spec: dict[str, Any], name: str, task: dict[str, Any]) -> None:
    component = spec["components"][task["componentRef"]["name"]]
    if "dag" in component:
        return
    executor = spec["deploymentSpec"]["executors"][component["executorLabel"]]
    if "resolver" in executor:
        raise ParameterError(f"Task {name}: resolver not implemented.")
    if "importer" in executor and "condition" in task.get("triggerPolicy", {}):
        raise ParameterError(
            f"Task {name}: triggerPolicy.condition on importer task is not supported."
        )


def _convert(name: str, value: Any, type_name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _CONVERT[type_name](value)
    except (ValueError, KeyError) as error:
        raise ParameterError(
            f"The runtime parameter {name!r} must be a {type_name}. Received: {value!r}."
        ) from error
