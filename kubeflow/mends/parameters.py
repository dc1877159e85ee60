"""Values that tasks get from other tasks, and runtime parameters."""

import json
from collections.abc import Mapping
from typing import Any

from tfx_shrink.kubeflow.pipeline_spec import (
    all_tasks,
    executor_of,
    inputs,
)
from tfx_shrink.tfx_seam.kubeflow_flags import INPUTS_SPEC_FLAG


def name_producers_of_values(spec: dict[str, Any]) -> None:
    """TFX calls the producer of a value `<id>_task`, a task that does not exist."""
    for tasks in all_tasks(spec):
        for task in tasks.values():
            for value in inputs(task, "parameters").values():
                source = value.get("taskOutputParameter", {})
                if source and source["producerTask"] not in tasks:
                    source["producerTask"] = source["producerTask"].removesuffix("_task")


def type_values_as_their_producers(spec: dict[str, Any]) -> None:
    """TFX declares every value that comes from a task a string: an int would arrive as "276"."""
    components = spec["components"]
    for tasks in all_tasks(spec):
        for task in tasks.values():
            for key, value in inputs(task, "parameters").items():
                source = value.get("taskOutputParameter")
                if not source:
                    continue
                producer = components[tasks[source["producerTask"]]["componentRef"]["name"]]
                made = producer["outputDefinitions"]["parameters"][source["outputParameterKey"]]
                wanted = components[task["componentRef"]["name"]]["inputDefinitions"]
                wanted["parameters"][key]["parameterType"] = made["parameterType"]
                _set_after(
                    executor_of(spec, task)["container"]["args"],
                    INPUTS_SPEC_FLAG,
                    json.dumps(wanted, sort_keys=True),
                )


def keep_defaults(spec: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    """TFX drops the defaults of runtime parameters; KFP then asks for every one of them.

    Args:
      spec: The pipeline spec.
      defaults: The defaults of the parameters that have one.
    """
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, parameter in parameters.items():
        if name in defaults:
            parameter["defaultValue"] = defaults[name]
            parameter["isOptional"] = True


def pass_parameters_into_the_dag(spec: dict[str, Any]) -> None:
    """Under an exit handler tasks lie in a DAG that TFX gives no parameters to pass on."""
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for task in spec["root"]["dag"]["tasks"].values():
        component = spec["components"][task["componentRef"]["name"]]
        for inner in component.get("dag", {}).get("tasks", {}).values():
            for value in inputs(inner, "parameters").values():
                name = value.get("componentInputParameter")
                if name is not None:
                    _parameters(component, "inputDefinitions")[name] = dict(declared[name])
                    _parameters(task, "inputs")[name] = {"componentInputParameter": name}


def _parameters(owner: dict[str, Any], field: str) -> dict[str, Any]:
    return owner.setdefault(field, {}).setdefault("parameters", {})


def _set_after(arguments: list[str], flag: str, value: str) -> None:
    """Replaces the argument that follows a flag."""
    arguments[arguments.index(flag) + 1] = value
