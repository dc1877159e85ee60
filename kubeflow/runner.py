"""Compiles a TFX pipeline into a file that open-source Kubeflow Pipelines 2.x runs."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from tfx_shrink.errors import ParameterError, PublishError
from tfx_shrink.kubeflow.entrypoint_flags import COMMAND, KEEP_URIS
from tfx_shrink.kubeflow.mends import mend
from tfx_shrink.kubeflow.mends.parameters import keep_defaults
from tfx_shrink.kubeflow.platform import platform_document, read_platform, set_resources
from tfx_shrink.kubeflow.refusals import check_pipeline
from tfx_shrink.tfx_seam import kubeflow as seam
from tfx_shrink.version import __version__

DEFAULT_IMAGE = f"tfx-shrink:{__version__}"


class KubeflowRunner(seam.TfxRunner):
    """Writes a pipeline as one YAML file for the user interface and the client of KFP.

    TFX compiles for Vertex AI; what open-source Kubeflow Pipelines 2.x refuses of that, or fails
    at, is mended, and what cannot be mended is refused with the component, the reason and the way
    out. Nothing is submitted, and no pipeline file can hold a secret: only names of Kubernetes
    secrets are written.

    Example:
      ```python
      KubeflowRunner(
          "taxi.yaml",
          image="registry.example/taxi:7",
          platform={
              "Trainer": {"gpus": 1},
              "BucketPusher": {"volumes": {"/models": "models"}},
          },
      ).run(pipeline)
      ```

    Args:
      output: The file to write; it ends in `.yaml`.
      image: What the containers run: tfx-shrink and your code; or `{component id: image,
        "default_image_path": image}`. Defaults to `tfx-shrink:<version>`.
      pipeline_root: Where artifacts go, `gs://`, `s3://` or `minio://`. Defaults to the pipeline's.
      platform: What Kubernetes gives: `{component id, or "*": settings}`, as `TaskPlatform` has
        them. Defaults to nothing.
      keep_uris: Whether executors read and write `gs://` themselves, as a Beam engine on other
        machines needs it. Defaults to False: they work on the launcher's local copies.
      exit_handler: A component that runs at the end, however the pipeline ended. Defaults to None.

    Raises:
      ParameterError: A parameter or the pipeline is not for Kubeflow; see `refusals`.
    """

    def __init__(
        self,
        output: str,
        *,
        image: str | Mapping[str, str] = DEFAULT_IMAGE,
        pipeline_root: str | None = None,
        platform: Mapping[str, Mapping[str, Any]] | None = None,
        keep_uris: bool = False,
        exit_handler: Any = None,
    ):
        super().__init__()
        if not output.endswith((".yaml", ".yml")):
            raise ParameterError(
                f"`output` must end in .yaml: KFP's client takes no other. Received: {output!r}."
            )
        self._output = output
        self._image = image
        self._pipeline_root = pipeline_root
        self._platform = platform or {}
        self._keep_uris = keep_uris
        self._exit_handler = exit_handler

    def run(self, pipeline: Any) -> str:
        """Compiles the pipeline and returns the path of the file.

        Raises:
          ParameterError: The pipeline cannot run on Kubeflow Pipelines.
          PublishError: The file cannot be written.
        """
        documents = self.compile(pipeline)
        try:
            os.makedirs(os.path.dirname(os.path.abspath(self._output)), exist_ok=True)
            with open(self._output, "w", encoding="utf-8") as file:
                file.write(_heading(documents[0]))
                yaml.safe_dump_all(documents, file, sort_keys=True)
        except OSError as error:
            raise PublishError(
                f"Cannot write {self._output}: {error}. Check the path and its permissions."
            ) from error
        return self._output

    def compile(self, pipeline: Any) -> list[dict[str, Any]]:
        """Returns the documents of the file: the pipeline spec and, if there is one, the platform.

        Raises:
          ParameterError: The pipeline cannot run on Kubeflow Pipelines.
        """
        root = self._pipeline_root or pipeline.pipeline_info.pipeline_root
        check_pipeline(pipeline, root, self._keep_uris)
        nodes = [*pipeline.components, *([self._exit_handler] if self._exit_handler else [])]
        platform = read_platform(self._platform, [node.id for node in nodes])
        defaults = _defaults(nodes)
        try:
            job = seam.compile_job(pipeline, self._image, COMMAND, self._exit_handler)
        except (KeyError, NotImplementedError, TypeError, ValueError) as error:
            raise ParameterError(
                f"TFX cannot compile this pipeline for Kubeflow: {error}"
            ) from error
        spec = job["pipelineSpec"]
        # A run's own pipeline_root goes before; it is how `submit` knows what was compiled.
        spec["defaultPipelineRoot"] = root
        keep_defaults(spec, defaults)
        mend(spec)
        set_resources(spec, platform)
        if self._keep_uris:
            _keep_uris(spec)
        document = platform_document(platform)
        return [spec] if document is None else [spec, document]


def _defaults(nodes: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, default in _runtime_parameters(nodes):
        if default is None:
            continue
        if found.setdefault(name, default) != default:
            raise ParameterError(
                f"The runtime parameter {name!r} has two defaults, {found[name]!r} and {default!r}."
            )
    return found


def _runtime_parameters(nodes: list[Any]) -> Iterator[tuple[str, Any]]:
    for node in nodes:
        for value in node.exec_properties.values():
            if isinstance(value, seam.RuntimeParameter):
                yield value.name, value.default


def _keep_uris(spec: dict[str, Any]) -> None:
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor.get("container", {})
        if container.get("command") == COMMAND:
            container["args"].append(KEEP_URIS)


def _heading(spec: dict[str, Any]) -> str:
    lines = ["PIPELINE DEFINITION", f"Name: {spec['pipelineInfo']['name']}"]
    lines.append(f"Description: compiled by tfx-shrink {__version__} for Kubeflow Pipelines 2.x")
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    if parameters:
        lines.append("Inputs:")
    for name, parameter in sorted(parameters.items()):
        default = (
            f" [Default: {parameter['defaultValue']!r}]" if "defaultValue" in parameter else ""
        )
        lines.append(f"   {name}: {parameter['parameterType']}{default}")
    return "".join(f"# {line}\n" for line in lines)
