"""What Kubernetes gives to the tasks of a pipeline: the second document of a compiled file.

Sources: kubernetes_platform/proto/kubernetes_executor_config.proto, and `ResourceSpec` in
api/v2alpha1/pipeline_spec.proto. A service account is a run's, not a pipeline's: see `submit`.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.mends.names import executor_name

EVERY_TASK = "*"

_SECRET_KEY = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+")
_TOLERATION = {"key", "operator", "value", "effect", "tolerationSeconds"}


@dataclasses.dataclass(frozen=True)
class TaskPlatform:
    """What one component's pod gets.

    There is no way to give a variable's value: secrets are named, never written.

    Attributes:
      volumes: `{mount path: name of a PersistentVolumeClaim}`.
      secrets: `{environment variable: "secret/key"}`, of Kubernetes secrets.
      cpu: `(request, limit)` in cores, or one number for both.
      memory: `(request, limit)` in gigabytes, or one number for both.
      gpus: How many accelerators.
      gpu_type: Their resource name.
      node_selector: `{label: value}` that the node must have.
      tolerations: Kubernetes tolerations: `key`, `operator`, `value`, `effect`,
        `tolerationSeconds`.
    """

    volumes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secrets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cpu: float | Sequence[float] | None = None
    memory: float | Sequence[float] | None = None
    gpus: int = 0
    gpu_type: str = "nvidia.com/gpu"
    node_selector: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        for path in self.volumes:
            if not path.startswith("/"):
                raise ParameterError(
                    f"`volumes` must be mounted at absolute paths. Received: {path!r}."
                )
        for variable, reference in self.secrets.items():
            # The text may be the secret itself, so it is not repeated.
            if not _SECRET_KEY.fullmatch(str(reference)):
                raise ParameterError(
                    f"`secrets` must name a Kubernetes secret and its key, as 'name/key', for "
                    f"{variable}. What was given is neither, and is not shown here."
                )
        for toleration in self.tolerations:
            if unknown := sorted(set(toleration) - _TOLERATION):
                raise ParameterError(
                    f"`tolerations` may have {sorted(_TOLERATION)}. Received: {unknown}."
                )


def read_platform(
    platform: Mapping[str, Mapping[str, Any]], component_ids: Sequence[str]
) -> dict[str, TaskPlatform]:
    """Checks what was asked for and returns it for every component.

    Args:
      platform: `{component id: settings as TaskPlatform has them}`; the id `*` is every component,
        whose own settings go before.
      component_ids: The pipeline's components.

    Raises:
      ParameterError: A component or a setting is unknown, or a setting is out of its range.
    """
    if unknown := sorted(set(platform) - {EVERY_TASK, *component_ids}):
        raise ParameterError(
            f"`platform` names {unknown}; the components are {list(component_ids)}, and "
            f"{EVERY_TASK!r} is all of them."
        )
    known = {field.name for field in dataclasses.fields(TaskPlatform)}
    for settings in platform.values():
        if strange := sorted(set(settings) - known):
            raise ParameterError(f"`platform` may set {sorted(known)}. Received: {strange}.")
    shared = platform.get(EVERY_TASK, {})
    return {
        name: TaskPlatform(**{**shared, **platform.get(name, {})})
        for name in component_ids
        if shared or name in platform
    }


def set_resources(spec: dict[str, Any], platform: Mapping[str, TaskPlatform]) -> None:
    """Writes processors, memory and accelerators, which stand in the pipeline spec itself."""
    executors = spec["deploymentSpec"]["executors"]
    for name, settings in platform.items():
        resources = _resources(settings)
        if resources and "container" in executors.get(executor_name(name), {}):
            container = executors[executor_name(name)]["container"]
            container.setdefault("resources", {}).update(resources)


def platform_document(platform: Mapping[str, TaskPlatform]) -> dict[str, Any] | None:
    """Returns the second document of the compiled file; None if it would say nothing."""
    executors = {
        executor_name(name): found
        for name, settings in platform.items()
        if (found := _executor_config(settings))
    }
    if not executors:
        return None
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _resources(settings: TaskPlatform) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    for name in ("cpu", "memory"):
        given = getattr(settings, name)
        if given is not None:
            request, limit = given if isinstance(given, Sequence) else (given, given)
            resources |= {f"{name}Request": float(request), f"{name}Limit": float(limit)}
    if settings.gpus:
        resources["accelerator"] = {"type": settings.gpu_type, "count": str(settings.gpus)}
    return resources


def _executor_config(settings: TaskPlatform) -> dict[str, Any]:
    config = {
        "pvcMount": [
            {"mountPath": path, "constant": claim, "pvcNameParameter": _constant(claim)}
            for path, claim in settings.volumes.items()
        ],
        "secretAsEnv": [
            {
                "secretName": name,
                "secretNameParameter": _constant(name),
                "keyToEnv": [{"secretKey": key, "envVar": variable}],
            }
            for variable, reference in settings.secrets.items()
            for name, _, key in [reference.partition("/")]
        ],
        "nodeSelector": {"labels": dict(settings.node_selector)} if settings.node_selector else {},
        "tolerations": [dict(toleration) for toleration in settings.tolerations],
    }
    return {name: value for name, value in config.items() if value}


def _constant(value: str) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}
