"""Submits a compiled pipeline to Kubeflow Pipelines and tells how its run goes."""

import contextlib
import dataclasses
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from tfx_shrink.errors import RunError
from tfx_shrink.kubeflow.launcher.compiled import read_compiled, read_parameters
from tfx_shrink.kubeflow.pipeline_spec import all_tasks
from tfx_shrink.kubeflow.pushes import pusher_tasks

_ENDED = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}
_LAST_LINES = 15
# Source: backend/src/apiserver/main.go; the user interface reads logs here too.
_LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"


@dataclasses.dataclass(frozen=True)
class Submitted:
    """A run that was submitted.

    Attributes:
      run_id: KFP's identifier.
      state: `SUCCEEDED`; None if nobody waited.
      said: One line on what became of the model; empty if nothing in the pipeline pushes, or
        nobody waited.
    """

    run_id: str
    state: str | None
    said: str


def submit(
    path: str,
    *,
    endpoint: str | None = None,
    namespace: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    pipeline_root: str | None = None,
    service_account: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    cache: bool = True,
    wait: bool = True,
    poll_seconds: float = 10,
    say: Callable[[str], None] = print,
) -> Submitted:
    """Submits a compiled file through `kfp.Client`, and waits for the run.

    Credentials are found as `kfp.Client` finds them; none is taken as an argument. KFP's API gives
    no reason for a failed run, so the log of the task that failed is read through the API server,
    where that is allowed. A run can succeed without pushing: the line says what is known.

    Args:
      path: What `KubeflowRunner` wrote.
      endpoint: URL of the API server. Defaults to KF_PIPELINES_ENDPOINT, or the cluster's own.
      namespace: The user's, where Kubeflow has several. Defaults to None.
      experiment: What the run is filed under; made if missing. Defaults to KFP's default.
      run_name: Defaults to the file's name and the time.
      pipeline_root: Where artifacts go. Defaults to what was compiled.
      service_account: What the run's pods run as. Defaults to KFP's.
      parameters: Runtime parameters; texts are converted to their types. Defaults to none.
      cache: Whether unchanged tasks may be taken from KFP's cache, as they were compiled. Defaults
        to True.
      wait: Whether to wait for the end. Defaults to True.
      poll_seconds: Between two looks at the run. Defaults to 10.
      say: Gets each line meant for a person. Defaults to `print`.

    Returns:
      The run.

    Raises:
      ParameterError: KFP would not take the file, or a parameter is missing, unknown or of the
        wrong type.
      RunError: The API server cannot be reached or refuses; or the run did not succeed.
    """
    spec, _ = read_compiled(path)
    # Every value, since KFP would look for one after the other.
    values = read_parameters(spec, parameters or {})
    client = _connect(endpoint, namespace)
    created = _ask(
        "create the run",
        lambda: client.create_run_from_pipeline_package(
            path,
            arguments=values,
            run_name=run_name,
            experiment_name=experiment,
            namespace=namespace,
            pipeline_root=pipeline_root or spec.get("defaultPipelineRoot"),
            # True would let KFP cache what must not be: it overrides every task.
            enable_caching=None if cache else False,
            service_account=service_account,
        ),
    )
    say(f"{spec['pipelineInfo']['name']}: run {created.run_id}")
    if not wait:
        return Submitted(created.run_id, None, "")
    names = {name for tasks in all_tasks(spec) for name in tasks}
    run = _wait(client, created.run_id, names, poll_seconds, say)
    if run.state != "SUCCEEDED":
        raise RunError(_failure(client, run, names))
    return Submitted(run.run_id, run.state, _what_was_pushed(run, spec))


def _connect(endpoint: str | None, namespace: str | None) -> Any:
    import kfp

    def connect() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return kfp.Client(host=endpoint, namespace=namespace or "kubeflow")

    return _ask(f"reach the API server {endpoint or ''}".rstrip(), connect)


def _ask(what: str, call: Callable[[], Any]) -> Any:
    """Calls KFP's API; its errors are of many types and long."""
    import kfp_server_api
    import urllib3

    try:
        # It prints links, where a command prints its result.
        with contextlib.redirect_stdout(sys.stderr):
            return call()
    except kfp_server_api.ApiException as error:
        raise RunError(f"Cannot {what}: {error.status} {error.reason}: {error.body}") from error
    except (urllib3.exceptions.HTTPError, TimeoutError, OSError) as error:
        raise RunError(f"Cannot {what}: {error}") from error


def _wait(
    client: Any, run_id: str, names: set[str], poll_seconds: float, say: Callable[[str], None]
) -> Any:
    told: dict[str, str] = {}
    while True:
        run = _ask("look at the run", lambda: client.get_run(run_id))
        for detail in _details(run):
            name, state = detail.display_name, detail.state
            if name in names and state not in (None, "PENDING") and told.get(name) != state:
                told[name] = state
                say(f"  {name:<24}{state.lower()}")
        if run.state in _ENDED:
            return run
        time.sleep(poll_seconds)


def _failure(client: Any, run: Any, names: set[str]) -> str:
    details = _details(run)
    failed = [detail for detail in details if detail.state == "FAILED"]
    by_id = {detail.task_id: detail for detail in details}
    parents = {detail.parent_task_id for detail in failed}
    lines = [f"Run {run.run_id} ended as {run.state}."]
    for detail in failed:
        # The task and what it belongs to have failed too; only the innermost has a log.
        if detail.task_id in parents:
            continue
        above = detail
        while above.display_name not in names and above.parent_task_id in by_id:
            above = by_id[above.parent_task_id]
        lines.append(f"Task {above.display_name} failed. {_log(client, run.run_id, detail)}")
    return "\n".join(lines)


def _log(client: Any, run_id: str, detail: Any) -> str:
    pods = [detail.pod_name, *(child.pod_name for child in detail.child_tasks or [])]
    pod = next((pod for pod in pods if pod), None)
    if pod is None:
        return "KFP names no pod of it."
    try:
        found = _ask(
            "read the log",
            lambda: client.runs.api_client.call_api(
                _LOG_PATH,
                "GET",
                path_params={"run_id": run_id, "node_id": pod},
                auth_settings=["Bearer"],
                _preload_content=False,
            ),
        )
        text = found.data.decode(errors="replace").rstrip()
    except RunError as error:
        return f"{error} Try: kubectl logs {pod} -c main"
    last = "\n".join(text.splitlines()[-_LAST_LINES:])
    return f"The last lines of pod {pod}:\n{last}"


def _what_was_pushed(run: Any, spec: Mapping[str, Any]) -> str:
    said = []
    states = {detail.display_name: detail.state for detail in _details(run)}
    for name in pusher_tasks(spec):
        state = states.get(name)
        if state == "SUCCEEDED":
            said.append(
                f"{name} ran: whether the model was blessed and published is `pushed` of its "
                "artifact pushed_model"
            )
        else:
            said.append(f"not pushed: {name} did not run ({(state or 'omitted').lower()})")
    return "; ".join(said)


def _details(run: Any) -> list[Any]:
    return (run.run_details.task_details if run.run_details else None) or []
