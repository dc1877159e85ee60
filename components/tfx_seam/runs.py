"""What running a pipeline and reading its results needs of TFX beyond tfx.v1."""

import re
from collections import defaultdict
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.types import artifact_utils

RUNNERS = {"beam": BeamDagRunner, "local": LocalDagRunner}

# The words of beam_dag_runner.py, local_dag_runner.py and portable/launcher.py.
_NODE = re.compile(r"(?:node|Component) (?P<node>\S+) is (?P<event>running|finished)\.")
_SAID_OF_RUNNING_NODE = {
    "A cached execution": "cached",
    "Skipping execution for": "skipped",
}


def node_event(message: str) -> tuple[str, str] | None:
    """Reads one of TFX's log messages.

    Args:
      message: The text of a log record.

    Returns:
      `(node id, "running" | "finished")`; `("", "cached" | "skipped")` of the node that runs now;
      None for any other message.
    """
    if found := _NODE.match(message):
        return found["node"], found["event"]
    for words, event in _SAID_OF_RUNNING_NODE.items():
        if message.startswith(words):
            return "", event
    return None


def latest_run_outputs(
    connection: metadata_store_pb2.ConnectionConfig, pipeline_name: str
) -> dict[str, dict[str, list[Any]]]:
    """Reads from ML Metadata what the newest run of a pipeline made or took from the cache.

    Args:
      connection: The pipeline's metadata connection.
      pipeline_name: The pipeline's name.

    Returns:
      `{node id: {output key: [artifacts]}}`, without nodes that did not run or failed.
    """
    with metadata.Metadata(connection) as handle:
        store = handle.store
        pipeline = store.get_context_by_type_and_name("pipeline", pipeline_name)
        runs = store.get_children_contexts_by_context(pipeline.id) if pipeline else []
        runs = [run for run in runs if run.type == "pipeline_run"]
        if not runs:
            return {}
        executions = {
            execution.id: execution
            for execution in store.get_executions_by_context(max(run.id for run in runs))
            if execution.last_known_state
            in (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
        }
        outputs: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        types = {item.id: item for item in store.get_artifact_types()}
        for event in store.get_events_by_execution_ids(list(executions)):
            if event.type != metadata_store_pb2.Event.OUTPUT:
                continue
            (found,) = store.get_artifacts_by_id([event.artifact_id])
            artifact = artifact_utils.deserialize_artifact(types[found.type_id], found)
            node = _node_id(store, event.execution_id, pipeline_name)
            outputs[node][event.path.steps[0].key].append(artifact)
    return outputs


def _node_id(store: Any, execution_id: int, pipeline_name: str) -> str:
    contexts = store.get_contexts_by_execution(execution_id)
    (name,) = [context.name for context in contexts if context.type == "node"]
    return name.removeprefix(f"{pipeline_name}.")
