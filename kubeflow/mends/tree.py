"""Walking through a pipeline spec."""

from collections.abc import Iterator
from typing import Any

Tasks = dict[str, dict[str, Any]]

INPUTS_SPEC_FLAG = "--json_serialized_inputs_spec_args"


def all_tasks(spec: dict[str, Any]) -> Iterator[Tasks]:
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


def set_after(arguments: list[str], flag: str, value: str) -> None:
    """Replaces the argument that follows a flag."""
    arguments[arguments.index(flag) + 1] = value
