"""Turns what KFP's driver says into what TFX understands, and TFX's answer into KFP's."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from tfx_shrink.kubeflow.entrypoint_flags import HTML_OUTPUT, HTML_TYPE
from tfx_shrink.kubeflow.uris import is_remote, local_path, remote_uri

Message = dict[str, Any]


def pages_to_show(executor_input: Message, pod_root: str) -> dict[str, str]:
    """Returns the outputs that Kubeflow's user interface shows.

    Args:
      executor_input: As KFP's driver made it.
      pod_root: Below which the launcher's copies lie.

    Returns:
      The local path of each page, by the key of the output that holds its `report.html`.
    """
    pages = {}
    for key, artifact in _artifacts(executor_input, "outputs"):
        if artifact.get("type", {}).get("schemaTitle") == HTML_TYPE["schemaTitle"]:
            pages[key.removesuffix(HTML_OUTPUT)] = local_path(artifact["uri"], pod_root)
    return pages


def drop_launcher_outputs(executor_input: Message) -> None:
    """Removes outputs that KFP adds, such as `executor-logs`: TFX knows no type `system.…`."""
    outputs = executor_input["outputs"].get("artifacts") or {}
    for key, found in list(outputs.items()):
        if not all(
            artifact.get("type", {}).get("instanceSchema") for artifact in found["artifacts"]
        ):
            del outputs[key]


def restore_types(executor_input: Message, inputs_spec: Message) -> None:
    """Gives input artifacts their types again: KFP's metadata keeps only the type's title."""
    declared = inputs_spec.get("artifacts", {})
    for key, artifact in _artifacts(executor_input, "inputs"):
        if key in declared:
            artifact["type"] = declared[key]["artifactType"]


def map_to_local(executor_input: Message, pod_root: str) -> None:
    """Replaces URIs by the launcher's local copies; TFX can open neither minio:// nor s3://."""
    for side in ("inputs", "outputs"):
        for _, artifact in _artifacts(executor_input, side):
            artifact["uri"] = local_path(artifact.get("uri", ""), pod_root)


def make_parents(executor_input: Message) -> None:
    """Makes the directories of outputs: one that holds a value is a file, not a directory."""
    for _, artifact in _artifacts(executor_input, "outputs"):
        if not is_remote(artifact["uri"]):
            os.makedirs(os.path.dirname(artifact["uri"]), exist_ok=True)


def take_driver_metadata(executor_input: Message, driver_output: Message) -> None:
    """Puts what the ExampleGen driver found on the outputs: the executor overwrites its file."""
    for key, found in driver_output.get("artifacts", {}).items():
        for artifact, made in zip(
            executor_input["outputs"]["artifacts"][key]["artifacts"],
            found.get("artifacts", []),
            strict=True,
        ):
            known = {name: value for name, value in made["metadata"].items() if value is not None}
            artifact.setdefault("metadata", {}).update(known)


def map_to_remote(executor_output: Message, pod_root: str) -> None:
    """Puts URIs back in the place of local paths, in metadata too, and drops what is null.

    The paths mean nothing outside this container; KFP refuses null.
    """
    for found in executor_output.get("artifacts", {}).values():
        for artifact in found.get("artifacts", []):
            artifact["uri"] = remote_uri(artifact["uri"], pod_root)
            artifact["metadata"] = {
                name: _map_strings(value, lambda text: remote_uri(text, pod_root))
                for name, value in artifact.get("metadata", {}).items()
                if value is not None
            }


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _map_strings(item, change) for name, item in value.items()}
    return value


def _artifacts(executor_input: Message, side: str) -> Iterator[tuple[str, Message]]:
    for key, found in (executor_input.get(side, {}).get("artifacts") or {}).items():
        for artifact in found.get("artifacts", []):
            yield key, artifact
