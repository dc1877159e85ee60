"""Runs the tasks of a DAG in their order, as Argo Workflows does with KFP's drivers."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.launcher.conditions import holds
from tfx_shrink.kubeflow.launcher.driver import Scope, resolve_inputs
from tfx_shrink.kubeflow.launcher.task import Launcher, Made

Message = dict[str, Any]

SUCCEEDED, SKIPPED, OMITTED, FAILED = "succeeded", "skipped", "omitted", "failed"


@dataclasses.dataclass(frozen=True)
class TaskRun:
    """How one task ended.

    Attributes:
      name: The task.
      state: `succeeded`; `skipped` by its condition; `omitted`, since a task before it was skipped;
        `failed`.
      seconds: How long it took.
      artifacts: Its outputs, as the next task's driver reads them.
    """

    name: str
    state: str
    seconds: float
    artifacts: dict[str, Message]


class DagRunner:
    """Runs a compiled pipeline.

    Args:
      spec: The pipeline spec.
      platform: What Kubernetes gives to each executor.
      launcher: Runs tasks.
      tell: Gets every task when it has ended.
    """

    def __init__(
        self,
        spec: Message,
        platform: Message,
        launcher: Launcher,
        tell: Callable[[TaskRun], None],
    ):
        self._spec = spec
        self._platform = platform
        self._launcher = launcher
        self._tell = tell
        self.runs: list[TaskRun] = []

    def run(self, tasks: dict[str, Message], scope: Scope) -> None:
        """Runs tasks one after the other; stops at one that fails.

        What must run however the others end (an exit handler) runs even then.

        Raises:
          RunError: A task failed.
        """
        failure: RunError | None = None
        for name in _in_order(tasks):
            task = tasks[name]
            always = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            if failure is not None and not always:
                continue
            started = time.monotonic()
            try:
                state, made = self._run_task(name, task, scope, always)
            except RunError as error:
                failure = failure or error
                state, made = FAILED, Made({}, {})
            scope.states[name] = state
            scope.artifacts[name], scope.values[name] = made.artifacts, made.values
            if not self._is_dag(task):
                done = TaskRun(name, state, time.monotonic() - started, made.artifacts)
                self.runs.append(done)
                self._tell(done)
        if failure is not None:
            raise failure

    def _run_task(self, name: str, task: Message, scope: Scope, always: bool) -> tuple[str, Made]:
        nothing = Made({}, {})
        before = [scope.states[other] for other in task.get("dependentTasks", [])]
        if not {SKIPPED, OMITTED}.isdisjoint(before) and not always:
            return OMITTED, nothing
        component = self._component(task)
        inputs = resolve_inputs(name, task, component, scope)
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not holds(condition, {"inputs": inputs}):
            return SKIPPED, nothing
        if "dag" in component:
            self.run(component["dag"]["tasks"], Scope(inputs["parameterValues"]))
            return SUCCEEDED, nothing
        executor = self._spec["deploymentSpec"]["executors"][component["executorLabel"]]
        if "importer" in executor:
            return SUCCEEDED, self._import(name, component, executor["importer"], inputs)
        platform = self._platform.get(component["executorLabel"], {})
        made = self._launcher.launch(name, component, executor["container"], platform, inputs)
        return SUCCEEDED, made

    def _import(self, name: str, component: Message, importer: Message, inputs: Message) -> Made:
        (key,) = component["outputDefinitions"]["artifacts"]
        where = importer["artifactUri"]
        uri = where.get("constant") or inputs["parameterValues"][where["runtimeParameter"]]
        self._launcher.store.path(uri)  # A scheme without a provider stops the importer.
        record = self._launcher.metadata.record
        return Made({key: record(key, uri, importer.get("metadata", {}))}, {})

    def _component(self, task: Message) -> Message:
        return self._spec["components"][task["componentRef"]["name"]]

    def _is_dag(self, task: Message) -> bool:
        return "dag" in self._component(task)


def _in_order(tasks: dict[str, Message]) -> Iterator[str]:
    done: set[str] = set()
    while len(done) < len(tasks):
        ready = [
            name
            for name, task in tasks.items()
            if name not in done and done.issuperset(task.get("dependentTasks", []))
        ]
        if not ready:
            raise RunError(f"Tasks wait for each other: {sorted(set(tasks) - done)}.")
        for name in ready:
            yield name
            done.add(name)
