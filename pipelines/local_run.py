"""Runs a pipeline on this machine and tells how it ended."""

import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Any

from tfx import v1 as tfx

from tfx_shrink.errors import ParameterError, RunError, ShrinkError
from tfx_shrink.parameters import require_one_of
from tfx_shrink.pipelines.progress import quiet_run
from tfx_shrink.pipelines.verdict import Verdict, read_verdict
from tfx_shrink.tfx_seam.runs import RUNNERS, latest_run_outputs


@dataclasses.dataclass(frozen=True)
class LocalRun:
    """How a run ended.

    Attributes:
      verdict: Whether the model was blessed and pushed, where, and if not, why.
      outputs: `{component: {output: [artifacts]}}`, without components that did not run.
      seconds: How long the pipeline took.
    """

    verdict: Verdict
    outputs: Mapping[str, Mapping[str, list[Any]]]
    seconds: float


def run_locally(pipeline: tfx.dsl.Pipeline, log_path: str, *, runner: str = "beam") -> LocalRun:
    """Runs a pipeline; says a line per component, and writes everything else into a log file.

    Example:
      ```python
      done = run_locally(pipeline, "build/run.log")
      print(done.verdict.destination or done.verdict.reason)
      ```

    Args:
      pipeline: Any TFX pipeline with a `metadata_connection_config`.
      log_path: The file to append the full log to.
      runner: `"beam"` (BeamDagRunner) or `"local"` (LocalDagRunner). Defaults to `"beam"`.

    Returns:
      The verdict, what was made, and the time.

    Raises:
      ParameterError: The runner is none of the two, or the pipeline does not say where its
        metadata lies.
      RunError: A component, or user code that it calls, failed; the text names the full log.
    """
    require_one_of("runner", runner, RUNNERS)
    connection = pipeline.metadata_connection_config
    if connection is None:
        raise ParameterError(
            "A pipeline that runs here needs `metadata_connection_config`, such as "
            "tfx.orchestration.metadata.sqlite_metadata_connection_config(path). Received: None."
        )
    print(f"full log: {log_path}", file=sys.stderr)
    started_at, started = time.time(), time.monotonic()
    with quiet_run(log_path):
        try:
            RUNNERS[runner]().run(pipeline)
        except ShrinkError as error:
            raise type(error)(f"{error}\nThe full log is {log_path}.") from None
        except Exception as error:
            raise RunError(f"{_told(error)}\nThe full log is {log_path}.") from None
        seconds = time.monotonic() - started
        outputs = latest_run_outputs(connection, pipeline.pipeline_info.pipeline_name)
        return LocalRun(read_verdict(outputs, started_at), outputs, seconds)


def _told(error: BaseException) -> str:
    """What failed, and what it all began with: Beam and TFX wrap errors, often more than once."""
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    told = f"The pipeline failed with {type(error).__name__}: {_first_line(error)}"
    if _first_line(first) in told:
        return told
    return f"{told}\nIt began with {type(first).__name__}: {_first_line(first)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
