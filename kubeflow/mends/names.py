"""Names that Argo Workflows takes."""

import re
from typing import Any

from tfx_shrink.kubeflow.pipeline_spec import all_tasks, references_to_tasks


def argo_name(component_id: str) -> str:
    """Returns the name of a component's task: lower case letters, digits and hyphens."""
    return re.sub("[^a-z0-9]+", "-", component_id.lower()).strip("-")


def name_tasks_for_argo(spec: dict[str, Any]) -> None:
    """Argo refuses `.` and `_`; KFP's tools expect components `comp-…` and executors `exec-…`."""
    for tasks in all_tasks(spec):
        renamed = {argo_name(name): _renamed(task, argo_name(name)) for name, task in tasks.items()}
        tasks.clear()
        tasks.update(renamed)
    for component in spec["components"].values():
        if "executorLabel" in component:
            component["executorLabel"] = _executor_name(component["executorLabel"])
    spec["components"] = {
        f"comp-{argo_name(name)}": component for name, component in spec["components"].items()
    }
    executors = spec["deploymentSpec"]["executors"]
    spec["deploymentSpec"]["executors"] = {
        _executor_name(label): executor for label, executor in executors.items()
    }


def executor_name(component_id: str) -> str:
    """Returns the label of a component's executor."""
    return f"exec-{argo_name(component_id)}"


def _executor_name(label: str) -> str:
    return executor_name(label.removesuffix("_executor"))


def _renamed(task: dict[str, Any], name: str) -> dict[str, Any]:
    # Drivers before KFP 2.16 look tasks up by this name too.
    task["taskInfo"]["name"] = name
    task["componentRef"]["name"] = f"comp-{argo_name(task['componentRef']['name'])}"
    if "dependentTasks" in task:
        task["dependentTasks"] = [argo_name(other) for other in task["dependentTasks"]]
    for source in references_to_tasks(task):
        source["producerTask"] = argo_name(source["producerTask"])
    return task
