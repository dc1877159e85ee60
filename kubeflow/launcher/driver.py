"""Makes a task's ExecutorInput, as KFP's driver does.

Sources: backend/src/v2/driver (container.go, resolve.go, `provisionOutputs`) and
backend/src/v2/metadata (client.go, converter.go).
"""

import dataclasses
import itertools
import json
import uuid
from collections.abc import Mapping
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.uris import local_path

Message = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


@dataclasses.dataclass
class Scope:
    """What the tasks of one DAG see.

    Attributes:
      parameters: The DAG's own parameters.
      artifacts: `{task: {output key: artifact}}`, as the metadata store gives them back.
      values: `{task: {output key: value}}`.
      states: `{task: state}` of those that were reached, as `TaskRun` names states.
    """

    parameters: Mapping[str, Any]
    artifacts: dict[str, dict[str, Message]] = dataclasses.field(default_factory=dict)
    values: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    states: dict[str, str] = dataclasses.field(default_factory=dict)


def resolve_inputs(name: str, task: Message, component: Message, scope: Scope) -> Message:
    """Returns the inputs of a task, as `ExecutorInput.inputs` has them.

    Args:
      name: The task's name.
      task: The task, as the pipeline spec has it.
      component: Its component, likewise.
      scope: Values and artifacts that are known so far.

    Raises:
      RunError: The driver would stop here; the text says as it does.
    """
    given = task.get("inputs", {})
    values = {
        key: _value(name, task, source, scope)
        for key, source in given.get("parameters", {}).items()
    }
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    for key, parameter in declared.items():
        if key in values:
            values[key] = _typed(f"{name}.{key}", values[key], parameter["parameterType"])
        elif "defaultValue" not in parameter and not parameter.get("isOptional"):
            raise RunError(
                f"Task {name}: neither value nor default value provided for non-optional parameter "
                f"{key!r}."
            )
    artifacts = {}
    for key, source in given.get("artifacts", {}).items():
        wanted = source["taskOutputArtifact"]
        made = scope.artifacts.get(wanted["producerTask"], {})
        if wanted["outputArtifactKey"] not in made:
            raise RunError(
                f"Task {name}: cannot find output artifact key {wanted['outputArtifactKey']!r} in "
                f"producer task {wanted['producerTask']!r}."
            )
        artifacts[key] = {"artifacts": [made[wanted["outputArtifactKey"]]]}
    return {"parameterValues": values, "artifacts": artifacts}


def provision_outputs(run_root: str, name: str, component: Message, pod_root: str) -> Message:
    """Returns where a task's outputs go, with the log that KFP adds.

    Args:
      run_root: URI of the run's artifacts.
      name: The task.
      component: Its component spec.
      pod_root: What stands for the pod's root directory.
    """
    task_root = f"{run_root}/{name}/{uuid.uuid4()}"
    definitions = component.get("outputDefinitions", {})
    artifacts = {
        key: {
            "artifacts": [
                {
                    "name": key,
                    "uri": f"{task_root}/{key}",
                    "type": output["artifactType"],
                    **({"metadata": dict(output["metadata"])} if "metadata" in output else {}),
                }
            ]
        }
        for key, output in definitions.get("artifacts", {}).items()
    }
    # PUBLISH_LOGS, which KFP's manifests switch on.
    artifacts["executor-logs"] = {
        "artifacts": [
            {
                "name": "executor-logs",
                "uri": f"{task_root}/executor-logs",
                "type": {"schemaTitle": "system.Artifact"},
            }
        ]
    }
    return {
        "artifacts": artifacts,
        "parameters": {
            key: {"outputFile": local_path(f"{task_root}/.parameters/{key}", pod_root)}
            for key in definitions.get("parameters", {})
        },
        "outputFile": local_path(f"{task_root}/output_metadata.json", pod_root),
    }


class MetadataStore:
    """Gives artifacts back as KFP's metadata store does: numbered, and without their types."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def record(self, key: str, uri: str, metadata: Mapping[str, Any]) -> Message:
        """Returns the artifact as the next task's driver reads it.

        Raises:
          RunError: A value is null, which the store refuses.
        """
        if null := [name for name, value in metadata.items() if value is None]:
            raise RunError(f"{key}: unable to produce MLMD artifact: null metadata {null}.")
        return {
            "name": str(next(self._ids)),
            "uri": uri,
            "type": {"instanceSchema": ""},
            "metadata": {
                **{name: _stored(value) for name, value in metadata.items()},
                "display_name": key,
                "store_session_info": "{}",
            },
        }


def _value(name: str, task: Message, source: Message, scope: Scope) -> Any:
    match source:
        case {"componentInputParameter": parameter}:
            if parameter not in scope.parameters:
                raise RunError(
                    f"Task {name}: parent DAG does not have input parameter {parameter}."
                )
            return scope.parameters[parameter]
        case {"taskOutputParameter": {"producerTask": producer, "outputParameterKey": key}}:
            if key not in scope.values.get(producer, {}):
                raise RunError(f"Task {name}: producer task, {producer}, not in tasks.")
            return scope.values[producer][key]
        case {"taskFinalStatus": _}:
            producer = task["dependentTasks"][0]
            return {
                # The metadata store's words, of a DAG.
                "state": "FAILED" if scope.states[producer] == "failed" else "COMPLETE",
                "pipelineTaskName": producer,
                "pipelineJobResourceName": "local-run",
                "error": {},
            }
        case {"runtimeValue": {"constant": value}}:
            return value
    raise RunError(f"Task {name}: a parameter of a kind that is not implemented: {source}.")


def _typed(name: str, value: Any, type_name: str) -> Any:
    if type_name == "STRING":
        return value if isinstance(value, str) else as_text(value)
    expected = _TYPES[type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
        raise RunError(f"Input parameter {name} type mismatch: expect {type_name}, got {value!r}.")
    return value


def as_text(value: Any) -> str:
    """Returns a value as text, as `PbValueToText` does: 3.0 is "3"."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def _stored(value: Any) -> Any:
    match value:
        case bool():
            return int(value)
        case list():
            return {"list": value}
        case dict():
            return {"struct": value}
    return value
