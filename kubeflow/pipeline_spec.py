"""Walking through a pipeline spec."""

from collections.abc import Iterator, Mapping
from typing import Any

Tasks = dict[str, dict[str, Any]]


def all_tasks(spec: Mapping[str, Any]) -> Iterator[Tasks]:
    """Yields the tasks of the root and of every DAG below it."""
    for component in (spec["root"], *spec["components"].values()):
        if "dag" in component:
            yield component["dag"]["tasks"]


def executor_of(spec: dict[str, Any], task: dict[str, Any]) -> dict[str, Any]:
    """Returns what runs a task; empty for a task that is a DAG."""
    component = spec["components"][task["componentRef"]["name"]]
    return spec["deploymentSpec"]["executors"].get(component.get("executorLabel"), {})


def inputs(task: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Returns the inputs of a task; `kind` is "artifacts" or "parameters"."""
    return task.get("inputs", {}).get(kind, {})


def references_to_tasks(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields every input of a task that another task produces; `producerTask` names that task."""
    for kind in ("artifacts", "parameters"):
        for value in inputs(task, kind).values():
            for source in value.values():
                if isinstance(source, dict) and "producerTask" in source:
                    yield source
