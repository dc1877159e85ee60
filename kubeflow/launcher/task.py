"""Runs one task as KFP's launcher does inside its pod.

Source: backend/src/v2/component/launcher_v2.go.
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.launcher.driver import MetadataStore, as_text, provision_outputs
from tfx_shrink.kubeflow.launcher.object_store import ObjectStore
from tfx_shrink.kubeflow.launcher.pods import Pod, Pods
from tfx_shrink.kubeflow.uris import is_remote, local_path

Message = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Made:
    """What a task left: artifacts as the metadata store gives them back, and values."""

    artifacts: dict[str, Message]
    values: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Launcher:
    """Runs tasks.

    Attributes:
      pods: How a container is run.
      store: The object store.
      metadata: The metadata store.
      run_root: URI of the run's artifacts.
    """

    pods: Pods
    store: ObjectStore
    metadata: MetadataStore
    run_root: str

    def launch(
        self, name: str, component: Message, container: Message, platform: Message, inputs: Message
    ) -> Made:
        """Runs a task.

        Args:
          name: The task's name.
          component: Its component spec.
          container: Its container spec.
          platform: What Kubernetes gives it.
          inputs: The inputs of its ExecutorInput.

        Raises:
          RunError: It exited with another code than 0, or left what KFP cannot take.
        """
        pod = self.pods.prepare(name)
        task = {
            "inputs": inputs,
            "outputs": provision_outputs(self.run_root, name, component, pod.pod_root),
        }
        for artifact in _artifacts(task["inputs"]):
            if is_remote(artifact["uri"]):
                self.store.download(artifact["uri"], pod.host_path(artifact["uri"]))
        for artifact in _artifacts(task["outputs"]):
            os.makedirs(os.path.dirname(pod.host_path(artifact["uri"])), exist_ok=True)
        for parameter in task["outputs"]["parameters"].values():
            os.makedirs(os.path.dirname(pod.host_file(parameter["outputFile"])), exist_ok=True)
        command = substitute(
            [*container.get("command", []), *container.get("args", [])], task, pod.pod_root
        )
        code = self.pods.run(pod, container["image"], command, platform)
        if code != 0:
            raise RunError(_failure(name, code, pod))
        made = self._collect(name, pod, task)
        shutil.rmtree(pod.directory, ignore_errors=True)
        return made

    def _collect(self, name: str, pod: Pod, task: Message) -> Made:
        output_file = pod.host_file(task["outputs"]["outputFile"])
        output: Message = {}
        if os.path.exists(output_file):
            with open(output_file, encoding="utf-8") as file:
                output = json.load(file)
        values = dict(output.get("parameterValues", {}))
        for key, parameter in task["outputs"]["parameters"].items():
            if key not in values:
                values[key] = _read_value(name, key, pod.host_file(parameter["outputFile"]))
        artifacts = {}
        for key, provisioned in task["outputs"]["artifacts"].items():
            artifact = dict(provisioned["artifacts"][0])
            found = output.get("artifacts", {}).get(key, {}).get("artifacts") or [{}]
            uri = found[0].get("uri") or artifact["uri"]
            if is_remote(uri) and os.path.exists(pod.host_path(uri)):
                self.store.upload(pod.host_path(uri), uri)
            metadata = {**artifact.get("metadata", {}), **found[0].get("metadata", {})}
            artifacts[key] = self.metadata.record(key, uri, metadata)
        return Made(artifacts, values)


def substitute(command: list[str], task: Message, pod_root: str) -> list[str]:
    """Replaces the placeholders of a command line.

    Args:
      command: The container's command and arguments.
      task: The ExecutorInput.
      pod_root: What stands for the pod's root directory.

    Returns:
      The words that the container is started with.
    """
    replaced = {"{{$}}": json.dumps(task)}
    for side in ("inputs", "outputs"):
        for key, found in task[side]["artifacts"].items():
            uri = found["artifacts"][0]["uri"]
            replaced[f"{{{{$.{side}.artifacts['{key}'].uri}}}}"] = uri
            replaced[f"{{{{$.{side}.artifacts['{key}'].path}}}}"] = local_path(uri, pod_root)
    for key, value in task["inputs"]["parameterValues"].items():
        replaced[f"{{{{$.inputs.parameters['{key}']}}}}"] = as_text(value)
    for key, parameter in task["outputs"]["parameters"].items():
        replaced[f"{{{{$.outputs.parameters['{key}'].output_file}}}}"] = parameter["outputFile"]
    filled = []
    for argument in command:
        for placeholder, text in replaced.items():
            argument = argument.replace(placeholder, text)
        filled.append(argument)
    return filled


def _artifacts(side: Message) -> Iterator[Message]:
    for found in side["artifacts"].values():
        yield from found["artifacts"]


def _read_value(name: str, key: str, path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise RunError(f"Task {name}: failed to read output parameter {key!r}: {error}") from error


def _failure(name: str, code: int, pod: Pod) -> str:
    return (
        f"Task {name} failed with exit code {code}. Its last lines:\n{pod.last_lines()}\n"
        f"The full log is {pod.log}."
    )
