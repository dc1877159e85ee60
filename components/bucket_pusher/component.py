"""BucketPusher: what a pipeline author sees."""

import os

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.executor import Executor
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


class BucketPusherSpec(ComponentSpec):
    """Channels and parameters of BucketPusher."""

    PARAMETERS = {
        "push_destination": ExecutionParameter(type=str),
        "model_name": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class BucketPusher(BaseComponent):
    """Publishes a blessed model as a version that appears whole, or not at all.

    Takes what the stock Pusher takes and checks blessings with the stock Pusher's own code. A
    server that watches `<push_destination>/<model_name>/` never sees a half-copied version, and
    a number is never used twice. The `pushed_model` output carries the stock properties `pushed`,
    `pushed_destination` and `pushed_version`, and a copy of what was published.

    Example:
      ```python
      pusher = BucketPusher(
          model=quantizer.outputs["model"],
          model_blessing=evaluator.outputs["blessing"],
          push_destination="file:///srv/models",
          model_name="digits",
      )
      ```

    Args:
      model: Channel of the `Model` to publish, SavedModel or TFLite. May be left out if
        `infra_blessing` carries a model with warm-up requests.
      model_blessing: Channel of the Evaluator's `ModelBlessing`. Defaults to None.
      infra_blessing: Channel of an `InfraBlessing`. Defaults to None.
      push_destination: The root of the bucket: a local path, a `file://` URL, or a stock
        `PushDestination` proto, the last segment of whose `base_directory` is the model's name.
      model_name: What TensorFlow Serving calls the model. Given with a URL, not with a proto.

    Raises:
      ParameterError: The URL's scheme is unknown, the name is missing or not one path segment, or
        there is neither a model nor an infra_blessing. RuntimeParameters are checked when they have
        their value, before anything is written.
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
    ):
        if model is None and infra_blessing is None:
            raise ParameterError("Give `model`, or an `infra_blessing` that carries a model.")
        if isinstance(push_destination, PushDestination):
            push_destination, model_name = _from_proto(push_destination, model_name)
        if model_name is None:
            raise ParameterError(
                "`model_name` is missing: versions are published to "
                "<push_destination>/<model_name>/<version>/."
            )
        if isinstance(push_destination, str) and isinstance(model_name, str):
            parse_destination(push_destination, model_name)
        super().__init__(
            BucketPusherSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                push_destination=push_destination,
                model_name=model_name,
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
    root, name = os.path.split(destination.filesystem.base_directory.rstrip("/"))
    return root or ".", name
