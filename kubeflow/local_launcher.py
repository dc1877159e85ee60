"""Runs a compiled pipeline without KFP, task by task, as a KFP cluster would."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from tfx_shrink.kubeflow.launcher import MIRRORED_VERSION
from tfx_shrink.kubeflow.launcher.cluster_pods import ClusterPods
from tfx_shrink.kubeflow.launcher.compiled import read_compiled, read_parameters
from tfx_shrink.kubeflow.launcher.dag import OMITTED, SKIPPED, DagRunner, TaskRun
from tfx_shrink.kubeflow.launcher.driver import MetadataStore, Scope
from tfx_shrink.kubeflow.launcher.object_store import ObjectStore
from tfx_shrink.kubeflow.launcher.pods import ContainerPods, Pods, ProcessPods
from tfx_shrink.kubeflow.launcher.task import Launcher
from tfx_shrink.kubeflow.pushes import describe_pushes, pusher_tasks
from tfx_shrink.kubeflow.uris import DEFAULT_PIPELINE_ROOT


@dataclasses.dataclass(frozen=True)
class CompiledRun:
    """How a run ended.

    Attributes:
      tasks: Every task that was reached, in the order in which they ended.
      pushed: Where models were published.
      said: One line on what became of the model; empty if nothing in the pipeline pushes.
      seconds: How long it took.
    """

    tasks: list[TaskRun]
    pushed: list[str]
    said: str
    seconds: float


def run_compiled(
    path: str,
    root: str,
    *,
    image: str | None = None,
    as_processes: bool = False,
    namespace: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> CompiledRun:
    """Runs a compiled file as Kubeflow Pipelines 2.17 would.

    Nothing of KFP is needed. The file is read as strictly as by its API server; every task gets the
    ExecutorInput that its driver would make (artifacts numbered and without their types, numbers as
    JSON has them, URIs of an object store), sees only what its launcher would copy into its pod,
    and ends with its own exit code. There is no cache, tasks run one after the other, and retries
    are left aside. As processes, tasks see this machine's files and environment; as containers,
    they run as this user on a read-only root, and a claim is a directory below `root`. As pods of a
    cluster they run as a random user on a read-only root, with the namespace's claims and Secrets;
    the object store is still a directory of this machine.

    Example:
      ```python
      done = run_compiled("digits.yaml", "build/run", as_processes=True)
      assert done.pushed, done.said
      ```

    Args:
      path: What `KubeflowRunner` wrote.
      root: Directory of the object store, logs and volumes; made if missing.
      image: Takes the place of the compiled images. Defaults to None: they are used.
      as_processes: Whether tasks run in this Python environment, without containers. Defaults to
        False.
      namespace: Runs the tasks as pods there, on the cluster that KUBECONFIG names. Defaults to
        None: nothing runs on a cluster.
      parameters: Runtime parameters; texts are converted to their types. Defaults to none.
      say: Gets each line meant for a person. Defaults to `print`.

    Returns:
      The tasks, and what was published.

    Raises:
      ParameterError: KFP would not take the file, or a parameter is missing, unknown or of the
        wrong type.
      RunError: A task failed: it is named, with its exit code and last lines.
    """
    spec, platform = read_compiled(path)
    values = read_parameters(spec, parameters or {})
    root = os.path.abspath(root)
    pods: Pods
    if as_processes:
        pods = ProcessPods(root)
    elif namespace:
        pods = ClusterPods(root, namespace, image)
    else:
        pods = ContainerPods(root, image)
    name = spec["pipelineInfo"]["name"]
    run_id = time.strftime("%Y%m%d-%H%M%S")
    pipeline_root = spec.get("defaultPipelineRoot", DEFAULT_PIPELINE_ROOT)
    run_root = f"{pipeline_root.rstrip('/')}/{name}/{run_id}"
    store = ObjectStore(os.path.join(root, "store"))
    launcher = Launcher(pods, store, MetadataStore(), run_root)
    say(f"{name}: as KFP {MIRRORED_VERSION} runs it, {run_root} lies below {root}/store")
    runner = DagRunner(spec, platform, launcher, lambda done: say(_line(done)))
    started = time.monotonic()
    runner.run(spec["root"]["dag"]["tasks"], Scope(values))
    pushers = pusher_tasks(spec)
    pushed, said = describe_pushes(
        {run.name: run.artifacts for run in runner.runs if run.name in pushers},
        [run.name for run in runner.runs if run.state in (SKIPPED, OMITTED)],
        pushers,
    )
    return CompiledRun(runner.runs, pushed, said, time.monotonic() - started)


def _line(done: TaskRun) -> str:
    notes = {SKIPPED: "skipped by its condition", OMITTED: "omitted: a task before it was skipped"}
    return f"  {done.name:<24}{done.seconds:6.1f} s  {notes.get(done.state, done.state)}"
