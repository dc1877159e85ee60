"""What compiling for Kubeflow Pipelines, and running inside its containers, needs of TFX."""

from collections.abc import Iterator, Mapping
from typing import Any

from tfx.components.infra_validator.component import InfraValidator
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.dsl.components.common.importer import SOURCE_URI_KEY, Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.experimental.conditionals.conditional import get_predicates
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.tfx_runner import TfxRunner
from tfx.types import BaseChannel, Channel
from tfx.utils import name_utils

__all__ = [
    "SOURCE_URI_KEY",
    "Importer",
    "InfraValidator",
    "Pipeline",
    "Resolver",
    "RuntimeParameter",
    "TfxRunner",
    "compile_job",
    "executor_path",
    "input_channels",
    "is_conditional",
    "is_one_channel",
    "packages_user_code",
]


def compile_job(
    pipeline: Any, images: str | Mapping[str, str], command: list[str], exit_handler: Any = None
) -> dict[str, Any]:
    """Compiles a pipeline as TFX does it for Vertex AI, in the only schema that KFP takes, 2.1.

    Args:
      pipeline: The pipeline.
      images: The containers' image, or one for each component id and "default_image_path".
      command: What every container runs.
      exit_handler: The component that runs at the end, however the pipeline ended. Defaults to
        None.

    Returns:
      The PipelineJob as a dictionary.
    """
    runner = KubeflowV2DagRunner(
        KubeflowV2DagRunnerConfig(
            default_image=images if isinstance(images, str) else dict(images),
            default_commands=command,
            use_pipeline_spec_2_1=True,
        )
    )
    if exit_handler is not None:
        runner.set_exit_handler(exit_handler)
    return runner.run(pipeline, write_out=False)


def input_channels(node: Any) -> Iterator[tuple[str, BaseChannel]]:
    """Yields the inputs of a node: its keys and channels."""
    yield from node.inputs.items()


def is_one_channel(channel: BaseChannel) -> bool:
    """Tells whether a channel is the output of one node, and no union of several."""
    return isinstance(channel, Channel)


def is_conditional(pipeline: Any, node: Any) -> bool:
    """Tells whether a node stands under a `Cond`."""
    return bool(get_predicates(node, pipeline.dsl_context_registry))


def packages_user_code(node: Any) -> bool:
    """Tells whether a `module_file` of a node would be packed into the pipeline's root."""
    return bool(node.exec_properties.get("module_file"))


def executor_path(node: Any) -> str | None:
    """Returns the dotted path of a component's executor class; None if it has a container."""
    if isinstance(node, BaseComponent) and isinstance(node.executor_spec, ExecutorClassSpec):
        return name_utils.get_full_name(node.executor_spec.executor_class)
    return None
