"""Tells a run that published a model from one that only ended well."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfx_shrink.kubeflow.pipeline_spec import all_tasks


def pusher_tasks(spec: Mapping[str, Any]) -> list[str]:
    """Returns the tasks of a pipeline that push: those with an output of type PushedModel."""
    pushers = {
        name
        for name, component in spec["components"].items()
        for output in component.get("outputDefinitions", {}).get("artifacts", {}).values()
        if "tfx.PushedModel" in output["artifactType"].get("instanceSchema", "")
    }
    return [
        name
        for tasks in all_tasks(spec)
        for name, task in tasks.items()
        if task["componentRef"]["name"] in pushers
    ]


def describe_pushes(
    artifacts: Mapping[str, Mapping[str, Any]], skipped: Collection[str], pushers: Sequence[str]
) -> tuple[list[str], str]:
    """Returns where models were published, and one line for a person.

    Args:
      artifacts: The outputs of the tasks that push.
      skipped: The tasks that a condition kept from running.
      pushers: The tasks that push.
    """
    pushed, reasons = [], []
    for name in pushers:
        for artifact in artifacts.get(name, {}).values():
            metadata = artifact["metadata"]
            if metadata.get("pushed") == 1:
                pushed.append(str(metadata["pushed_destination"]))
        if name in skipped:
            reasons.append(f"{name} was skipped by its condition")
        elif not pushed:
            reasons.append(f"{name} was not given a blessed model")
    if pushed:
        return pushed, f"published: {', '.join(pushed)}"
    return [], f"not pushed: {'; '.join(reasons)}" if reasons else ""
