"""The two programs that TFX runs inside a container of Kubeflow Pipelines v2."""

from collections.abc import Sequence
from typing import Any

from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.orchestration.kubeflow.v2.file_based_example_gen import driver

from tfx_shrink.tfx_seam.kubeflow_flags import EXECUTOR_FLAG, INPUTS_SPEC_FLAG, INVOCATION_FLAG


def run_executor(
    class_path: str, executor_input: str, inputs_spec: str, beam_args: Sequence[str]
) -> None:
    """Runs an executor; what it made stands in the ExecutorInput's output file.

    Args:
      class_path: The executor's dotted path.
      executor_input: The ExecutorInput, as JSON.
      inputs_spec: The component's inputs with their types, as JSON.
      beam_args: Beam's options.
    """
    kubeflow_v2_run_executor.main(
        kubeflow_v2_run_executor._parse_flags(
            [
                *(EXECUTOR_FLAG, class_path),
                *_shared_flags(executor_input, inputs_spec),
                *beam_args,
            ]
        )
    )


def run_example_gen_driver(executor_input: str, inputs_spec: str) -> None:
    """Finds the span, version and fingerprint of files; leaves them in the output file."""
    driver.main(driver._parse_flags(_shared_flags(executor_input, inputs_spec)))


def _shared_flags(executor_input: str, inputs_spec: str) -> list[Any]:
    return [
        *(INVOCATION_FLAG, executor_input),
        *(INPUTS_SPEC_FLAG, inputs_spec),
    ]
