"""Runs the digits pipeline and tells how it ended."""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.publish import check_writable
from tfx_shrink.pipelines.digits.data import write_csv
from tfx_shrink.pipelines.digits.pipeline import NAME, create_digits_pipeline
from tfx_shrink.pipelines.digits.summary import ModelRow, compare_models
from tfx_shrink.pipelines.local_run import run_locally
from tfx_shrink.pipelines.progress import quiet_run
from tfx_shrink.pipelines.verdict import Verdict


@dataclasses.dataclass(frozen=True)
class DigitsRun:
    """How a run ended.

    Attributes:
      models: The table: one row per stage, the Trainer's model first; empty if the run ended
        before there was anything to compare.
      verdict: Whether the int8 model was blessed and pushed, where, and if not, why.
      seconds: How long the pipeline took.
      log_path: The full log.
    """

    models: list[ModelRow]
    verdict: Verdict
    seconds: float
    log_path: str


def run_digits(
    root: str,
    push_to: str | None = None,
    *,
    runner: str = "beam",
    say: Callable[[str], None] = print,
    **pipeline_parameters: Any,
) -> DigitsRun:
    """Runs the main job: digits → teacher → student → pruned → int8 TFLite → judged → published.

    A second run in the same `root` takes unchanged stages from TFX's cache and publishes nothing
    new.

    Example:
      ```python
      done = run_digits("build/demo")
      assert done.verdict.pushed, done.verdict.reason
      ```

    Args:
      root: Directory of data, artifacts, metadata and logs; made if missing.
      push_to: The root of the bucket. Defaults to `file://<root>/bucket`.
      runner: `"beam"` (BeamDagRunner) or `"local"` (LocalDagRunner). Defaults to `"beam"`.
      say: Gets each line meant for a person. Defaults to `print`.
      **pipeline_parameters: Passed on to `create_digits_pipeline`.

    Returns:
      The table and the verdict.

    Raises:
      ParameterError: `push_to` is not a destination.
      PublishError: Nothing can be written at `push_to`; found before anything runs.
      RunError: A component failed; the text names the full log.
    """
    root = os.path.abspath(root)
    push_to = push_to or f"file://{root}/bucket"
    check_writable(parse_destination(push_to, NAME))
    write_csv(os.path.join(root, "data"))
    log_path = os.path.join(root, "logs", time.strftime("%Y%m%d-%H%M%S.log"))
    say(f"digits: {runner} runner, artifacts below {root}")
    pipeline = create_digits_pipeline(root, push_to, **pipeline_parameters)
    done = run_locally(pipeline, log_path, runner=runner)
    with quiet_run(log_path):
        models = compare_models(done.outputs) if "Quantizer" in done.outputs else []
    return DigitsRun(models, done.verdict, done.seconds, log_path)
