"""`Cond` on a channel that is an input of the task too."""

import re
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.pipeline_spec import all_tasks, inputs

_ARTIFACT = re.compile(r"inputs\.artifacts\['([^']+)'\]")


def read_conditions_from_inputs(spec: dict[str, Any]) -> None:
    """TFX names such a channel `_producer.key` although the input is called otherwise.

    The driver then stops with "no such key".
    """
    for tasks in all_tasks(spec):
        for name, task in tasks.items():
            policy = task.get("triggerPolicy", {})
            if "condition" in policy:
                policy["condition"] = _read_from_inputs(name, task, policy["condition"])


def _read_from_inputs(name: str, task: dict[str, Any], condition: str) -> str:
    def replace(found: re.Match[str]) -> str:
        return f"inputs.artifacts['{_input_key(name, task, found[1])}']"

    return _ARTIFACT.sub(replace, condition)


def _input_key(name: str, task: dict[str, Any], key: str) -> str:
    artifacts = inputs(task, "artifacts")
    if key in artifacts:
        return key
    producer, _, output = key.removeprefix("_").rpartition(".")
    for candidate, source in artifacts.items():
        found = source.get("taskOutputArtifact", {})
        if (found.get("producerTask"), found.get("outputArtifactKey")) == (producer, output):
            return candidate
    raise ParameterError(f"The condition of {name} reads {key}, which is no input of it.")
