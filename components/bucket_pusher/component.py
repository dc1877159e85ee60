"""BucketPusher: what a pipeline author sees."""

import os

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.executor import Executor
from tfx_shrink.bucket_pusher.settings import check_settings, check_transport
from tfx_shrink.errors import ParameterError
from tfx_shrink.tfx_seam.components import (
    BaseChannel,
    BaseComponent,
    Channel,
    ChannelParameter,
    ComponentSpec,
    ExecutionParameter,
    ExecutorClassSpec,
    PushDestination,
    RuntimeParameter,
    standard_artifacts,
)
from tfx_shrink.tfx_seam.parameters import known


class BucketPusherSpec(ComponentSpec):
    """Channels and parameters of BucketPusher."""

    PARAMETERS = {
        "push_destination": ExecutionParameter(type=str),
        "model_name": ExecutionParameter(type=str),
        "versioning": ExecutionParameter(type=str, optional=True),
        "mode": ExecutionParameter(type=str, optional=True),
        "label": ExecutionParameter(type=str, optional=True),
        "settle_seconds": ExecutionParameter(type=int, optional=True),
        "transport": ExecutionParameter(type=str, optional=True),
        "retention": ExecutionParameter(type=int, optional=True),
        "num_warmup_requests": ExecutionParameter(type=int, optional=True),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class BucketPusher(BaseComponent):
    """Publishes a blessed model as a version that is served whole, or not at all.

    Takes what the stock Pusher takes and checks blessings with the stock Pusher's own code. A
    server that watches `<push_destination>/<model_name>/` never serves a half-copied version, and
    a number is never used twice. Content that is live already is not pushed again. The
    `pushed_model` output carries the stock properties `pushed`, `pushed_destination` and
    `pushed_version`, and a copy of what was published. Credentials come from the environment in
    which the component runs; there is no parameter for them.

    Example:
      ```python
      pusher = BucketPusher(
          model=quantizer.outputs["model"],
          model_blessing=evaluator.outputs["blessing"],
          push_destination="gs://models/prod",
          model_name="digits",
          examples=example_gen.outputs["examples"],  # for warm-up requests
      )
      ```

    Args:
      model: Channel of the `Model` to publish, SavedModel or TFLite. May be left out if
        `infra_blessing` carries a model with warm-up requests.
      model_blessing: Channel of the Evaluator's `ModelBlessing`. Defaults to None.
      infra_blessing: Channel of an `InfraBlessing`. Defaults to None.
      examples: Channel of `Examples`, raw or transformed, whose rows become warm-up requests.
        Defaults to None: no warm-up requests.
      transform_graph: Channel of Transform's graph, for raw rows and a model that reads
        transformed features. Defaults to None.
      push_destination: The root of the bucket: a local path, a URL (`file://`, `gs://`, `s3://`,
        `az://`, `memory://`), or a stock `PushDestination` proto, the last segment of whose
        `base_directory` is the model's name.
      model_name: What TensorFlow Serving calls the model. Given with a URL, not with a proto.
      versioning: `"monotonic"` (1, 2, 3 …), `"timestamp"` (seconds, but always above the highest),
        or the version's number. Defaults to `"monotonic"`.
      mode: `"latest"`: servers load the highest version. `"pinned"`: servers load what
        `<push_destination>/models.config` names; the only mode in which no server ever looks into
        a version that is not whole. Defaults to `"latest"`.
      label: In mode `"pinned"` what shall name the version: `"stable"` or `"canary"`. Defaults to
        `"stable"`.
      settle_seconds: In mode `"pinned"` how many seconds servers may take to read models.config,
        before a label that names another version moves to this one. Defaults to None: 60.
      transport: `"plain"`, or `"zstd"`: files are stored compressed, for servers that get them
        through `tfx-shrink pull`; not on `file://` and `gs://`, which TensorFlow Serving reads
        itself. Defaults to `"plain"`.
      retention: How many of the highest versions stay after a push. Defaults to None: all.
      num_warmup_requests: How many rows are sent by a server to the model before it counts as
        available, 1 to 1000; each is run here first. Defaults to 10 where there are `examples`.

    Raises:
      ParameterError: The URL's scheme is unknown, the name is missing or not one path segment,
        there is neither a model nor an infra_blessing, or another parameter is out of its range.
        RuntimeParameters are checked when they have their value, before anything is written.
    """

    SPEC_CLASS = BucketPusherSpec
    EXECUTOR_SPEC = ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel | None = None,
        model_blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        *,
        push_destination: str | PushDestination | RuntimeParameter,
        model_name: str | RuntimeParameter | None = None,
        examples: BaseChannel | None = None,
        transform_graph: BaseChannel | None = None,
        versioning: str | int | RuntimeParameter = "monotonic",
        mode: str | RuntimeParameter = "latest",
        label: str | RuntimeParameter = "stable",
        settle_seconds: int | RuntimeParameter | None = None,
        transport: str | RuntimeParameter = "plain",
        retention: int | RuntimeParameter | None = None,
        num_warmup_requests: int | RuntimeParameter | None = None,
    ):
        if model is None and infra_blessing is None:
            raise ParameterError("Give `model`, or an `infra_blessing` that carries a model.")
        if isinstance(push_destination, PushDestination):
            push_destination, model_name = _from_proto(push_destination, model_name)
        if model_name is None:
            raise ParameterError(
                "`model_name` is missing: versions are published to "
                "<push_destination>/<model_name>/<version>/. Give it."
            )
        if isinstance(push_destination, str) and isinstance(model_name, str):
            destination = parse_destination(push_destination, model_name)
            if "://" not in push_destination:
                push_destination = destination.path  # Wherever the pipeline will run from.
            if isinstance(transport, str):
                check_transport(transport, destination)
        if examples is None and (transform_graph is not None or num_warmup_requests is not None):
            raise ParameterError(
                "`transform_graph` and `num_warmup_requests` make warm-up requests of the rows of "
                "`examples`. Received: examples=None."
            )
        settings = {
            "versioning": versioning,
            "mode": mode,
            "label": label,
            "settle_seconds": settle_seconds,
            "transport": transport,
            "retention": retention,
            "num_warmup_requests": num_warmup_requests,
        }
        check_settings(known(settings))
        if not isinstance(versioning, RuntimeParameter):
            settings["versioning"] = str(versioning)
        super().__init__(
            BucketPusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                push_destination=push_destination,
                model_name=model_name,
                examples=examples,
                transform_graph=transform_graph,
                **settings,
                pushed_model=Channel(type=standard_artifacts.PushedModel),
            )
        )


def _from_proto(
    destination: PushDestination, model_name: str | RuntimeParameter | None
) -> tuple[str, str]:
    if model_name is not None:
        raise ParameterError(
            "With a PushDestination proto, the last segment of base_directory is the model's name. "
            f"Received: model_name={model_name!r}. Leave it out, or give push_destination as a URL."
        )
    if not destination.filesystem.base_directory:
        raise ParameterError("The `push_destination` proto has no filesystem.base_directory.")
    directory = destination.filesystem.base_directory.rstrip("/")
    scheme, separator, path = directory.rpartition("://")
    root, name = os.path.split(path)
    if separator and not root:
        raise ParameterError(
            "The proto's base_directory must be <root>/<model_name>, such as gs://bucket/digits. "
            f"Received: base_directory={directory!r}. Give push_destination as a URL, and "
            "model_name."
        )
    return f"{scheme}{separator}{root}" or ".", name
