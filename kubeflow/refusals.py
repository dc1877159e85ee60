"""What open-source Kubeflow Pipelines cannot run, said before anything is compiled."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tfx_shrink.errors import ParameterError
from tfx_shrink.kubeflow.mends.names import argo_name
from tfx_shrink.kubeflow.uris import SCHEMES, is_remote
from tfx_shrink.tfx_seam import kubeflow as seam

# Source: tfx/orchestration/kubeflow/v2/pipeline_builder.py
_PIPELINE_NAME = re.compile("[a-z0-9][a-z0-9-]{0,127}")


def check_pipeline(pipeline: Any, pipeline_root: str, keep_uris: bool) -> None:
    """Refuses a pipeline that KFP would refuse, or that would fail there.

    Args:
      pipeline: The pipeline.
      pipeline_root: Where its artifacts go.
      keep_uris: Whether executors get the URIs themselves.

    Raises:
      ParameterError: The text lists every component with the reason and the way out.
    """
    _check_name(pipeline.pipeline_info.pipeline_name)
    _check_root(pipeline_root, keep_uris)
    found = [*_same_names(pipeline), *_refused(pipeline)]
    if found:
        raise ParameterError("\n".join(found))


def _check_name(name: str) -> None:
    if not _PIPELINE_NAME.fullmatch(name):
        raise ParameterError(
            "`pipeline_name` must be at most 128 lower case letters, digits and hyphens. Received: "
            f"pipeline_name={name!r}; {argo_name(name)!r} would do."
        )


def _check_root(pipeline_root: str, keep_uris: bool) -> None:
    if not is_remote(pipeline_root) or not pipeline_root.split("://")[1].strip("/"):
        raise ParameterError(
            f"`pipeline_root` must be a bucket, or a folder of one: {', '.join(SCHEMES)}…, since "
            "every task runs in a pod of its own. Received: pipeline_root="
            f"{pipeline_root!r}. Give another one to KubeflowRunner, or by --pipeline-root."
        )
    if keep_uris and not pipeline_root.startswith("gs://"):
        raise ParameterError(
            "`keep_uris=True` needs a pipeline_root on gs://, the only object store that TFX opens "
            f"itself. Received: pipeline_root={pipeline_root!r}."
        )


def _same_names(pipeline: Any) -> Iterator[str]:
    by_name = defaultdict(list)
    for node in pipeline.components:
        by_name[argo_name(node.id)].append(node.id)
    for name, ids in by_name.items():
        if len(ids) > 1 or not name:
            yield (
                f"{', '.join(ids)}: the tasks would have one name, {name!r}, since Argo takes only "
                "lower case letters, digits and hyphens. Give other ids with `.with_id(...)`."
            )


def _refused(pipeline: Any) -> Iterator[str]:
    for node in pipeline.components:
        for reason in _reasons(pipeline, node):
            yield f"{node.id}: {reason}"


def _reasons(pipeline: Any, node: Any) -> Iterator[str]:
    if isinstance(node, seam.Resolver):
        yield (
            "Kubeflow Pipelines has no resolvers. Take the artifact with an Importer whose "
            "`source_uri` is a RuntimeParameter, and give its URI when you submit."
        )
    if isinstance(node, seam.InfraValidator):
        yield "TFX cannot compile an InfraValidator for Kubeflow Pipelines v2. Leave it out."
    if isinstance(node, seam.Importer):
        yield from _importer(pipeline, node)
    if seam.packages_user_code(node):
        yield (
            "a `module_file` would be packed at compile time into the pipeline's root, where no "
            "container can install it from. Put the code into the image and give its dotted path: "
            "`run_fn`, `preprocessing_fn` or `module_path`."
        )
    path = seam.executor_path(node)
    if path is not None and path.startswith("__main__."):
        yield (
            "it is defined in the script that compiles, which no container can import. Put it into "
            "a module of the image."
        )
    for key, channel in seam.input_channels(node):
        if not seam.is_one_channel(channel):
            yield (
                f"its input `{key}` joins the outputs of several nodes, which Kubeflow Pipelines "
                "cannot express. Give the output of one node."
            )
    for key, channel in node.outputs.items():
        if channel.type.PROPERTIES and not channel.type.__module__.startswith("tfx."):
            yield (
                f"its output `{key}` is a {channel.type.TYPE_NAME} with PROPERTIES, which TFX does "
                "not write for Kubeflow Pipelines. Use custom properties."
            )
    base = node.exec_properties.get("input_base")
    if isinstance(base, str) and base.startswith(("s3://", "minio://")):
        yield (
            f"its `input_base` is {base}, which TFX cannot open. Mount a volume and give its path, "
            "or use gs://."
        )


def _importer(pipeline: Any, node: Any) -> Iterator[str]:
    uri = node.exec_properties[seam.SOURCE_URI_KEY]
    if isinstance(uri, str) and not is_remote(uri):
        yield (
            f"its `source_uri` must begin with one of {', '.join(SCHEMES)}: Kubeflow Pipelines "
            f"imports from object stores alone. Received: source_uri={uri!r}."
        )
    if seam.is_conditional(pipeline, node):
        yield (
            "Kubeflow Pipelines allows no condition on an Importer. Put it outside the `Cond`: to "
            "import costs nothing."
        )
