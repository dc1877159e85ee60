"""What a compiled pipeline takes for granted of its pods, for the person who compiles it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tfx_shrink.kubeflow.platform import read_platform
from tfx_shrink.tfx_seam import kubeflow as seam

_FUNCTIONS = ("run_fn", "trainer_fn", "preprocessing_fn", "stats_options_updater_fn")
_IN_EVERY_IMAGE = ("tfx", "tfx_shrink")


def pod_needs(pipeline: Any, platform: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each module and each local path that pods must have.

    Nobody can tell before a run whether they are there: a pod that lacks one fails.

    Args:
      pipeline: A pipeline that `KubeflowRunner` compiles.
      platform: What Kubernetes gives, as `KubeflowRunner` takes it.

    Raises:
      ParameterError: `platform` names an unknown component or setting.
    """
    settings = read_platform(platform, [node.id for node in pipeline.components])
    modules: dict[str, list[str]] = defaultdict(list)
    read: dict[str, list[str]] = defaultdict(list)
    written: dict[str, list[str]] = defaultdict(list)
    for node in pipeline.components:
        for module in dict.fromkeys(_modules(node)):
            modules[module].append(node.id)
        mounted = settings[node.id].volumes if node.id in settings else {}
        for key, found in (("input_base", read), ("push_destination", written)):
            path = _local_path(node.exec_properties.get(key))
            if path and not any(f"{path}/".startswith(f"{at.rstrip('/')}/") for at in mounted):
                found[path].append(node.id)
    return [
        *(f"the image must hold the module {name}: {_of(ids)}" for name, ids in modules.items()),
        *(
            f"the image, or a volume (--platform), must hold {path}: {_of(ids)}"
            for path, ids in read.items()
        ),
        *(
            f"no volume (--platform) is mounted at {path}, so what is pushed there ends with its "
            f"pod: {_of(ids)}"
            for path, ids in written.items()
        ),
    ]


def _of(ids: list[str]) -> str:
    return ", ".join(ids)


def _modules(node: Any) -> Iterator[str]:
    given = node.exec_properties
    found = [given[key].rpartition(".")[0] for key in _FUNCTIONS if isinstance(given.get(key), str)]
    if isinstance(given.get("module_path"), str):
        found.append(given["module_path"])
    if (executor := seam.executor_path(node)) is not None:
        found.append(executor.rpartition(".")[0])
    for module in found:
        if module and module.split(".")[0] not in _IN_EVERY_IMAGE:
            yield module


def _local_path(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    path = value.removeprefix("file://")
    return path.rstrip("/") if path.startswith("/") else None
