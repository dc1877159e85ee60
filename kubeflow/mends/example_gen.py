"""ExampleGens that read files: their driver, and their cache."""

from typing import Any

from tfx_shrink.kubeflow.entrypoint_flags import RUN_DRIVER
from tfx_shrink.kubeflow.pipeline_spec import all_tasks, executor_of


def run_driver_in_the_container(spec: dict[str, Any]) -> None:
    """KFP never runs `lifecycle.preCacheCheck`: spans and fingerprints would be missing."""
    for executor in spec["deploymentSpec"]["executors"].values():
        if executor.get("container", {}).pop("lifecycle", None):
            executor["container"]["args"].append(RUN_DRIVER)


def never_cache_files(spec: dict[str, Any]) -> None:
    """KFP's cache looks at a task's inputs and command, not at the files that it reads."""
    for tasks in all_tasks(spec):
        for task in tasks.values():
            if "lifecycle" in executor_of(spec, task).get("container", {}):
                task.pop("cachingOptions", None)
