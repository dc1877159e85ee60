"""BucketPusher's executor: blessings checked as the stock Pusher does, then one publish."""

import logging
from typing import Any

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.bucket_pusher.settings import STABLE, check_settings
from tfx_shrink.errors import PublishError
from tfx_shrink.tfx_seam.artifacts import all_example_patterns, optional_uri
from tfx_shrink.tfx_seam.components import PusherExecutor, artifact_utils, io_utils

_log = logging.getLogger(__name__)


class Executor(PusherExecutor):
    """Publishes a model if every blessing that is given says so."""

    def Do(  # noqa: D102
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        from tfx_shrink.bucket_pusher.publish import publish  # Authors need not wait for it.

        self._log_startup(input_dict, output_dict, exec_properties)
        destination = parse_destination(
            exec_properties["push_destination"], exec_properties["model_name"]
        )
        check_settings(exec_properties)
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        # First, because a version that is visible must not belong to a failed execution.
        io_utils.copy_dir(self.GetModelPath(input_dict), pushed_model.uri)
        if input_dict.get("examples"):
            self._warm_up(input_dict, exec_properties, pushed_model.uri, destination.model_name)
        published = publish(
            pushed_model.uri,
            destination,
            mode=exec_properties.get("mode") or "latest",
            label=exec_properties.get("label") or STABLE,
            transport=exec_properties.get("transport") or "plain",
            versioning=exec_properties.get("versioning") or "monotonic",
            run=self._origin(),
            settle_seconds=exec_properties.get("settle_seconds"),
        )
        self._MarkPushed(
            pushed_model,
            pushed_destination=published.url,
            pushed_version=str(published.version),
        )
        if exec_properties.get("retention"):
            self._retain(destination, exec_properties["retention"])

    def _warm_up(
        self,
        input_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
        model_uri: str,
        model_name: str,
    ) -> None:
        from tfx_shrink.bucket_pusher.warmup import DEFAULT_REQUESTS, write_warmup_requests

        written = write_warmup_requests(
            model_uri,
            model_name,
            all_example_patterns(input_dict["examples"]),
            num_requests=exec_properties.get("num_warmup_requests") or DEFAULT_REQUESTS,
            transform_graph=optional_uri(input_dict, "transform_graph"),
        )
        _log.info("%d warm-up requests were run and written.", written)

    def _retain(self, destination: Any, keep: int) -> None:
        from tfx_shrink.bucket_pusher.retain import retain

        try:
            retain(destination, keep)
        except PublishError as error:
            # The model is served; the next push tries again.
            _log.warning("Old versions were not removed: %s", error)

    def _origin(self) -> dict[str, str]:
        context = self._context
        if context is None:
            return {}
        facts = {"pipeline": context.pipeline_info, "run": context.pipeline_run_id}
        return {name: str(getattr(value, "id", value)) for name, value in facts.items() if value}
