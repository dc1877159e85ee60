"""BucketPusher's executor: blessings checked as the stock Pusher does, then one publish."""

from typing import Any

from tfx_shrink.bucket_pusher.destination import parse_destination
from tfx_shrink.tfx_seam.components import PusherExecutor, artifact_utils, io_utils


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
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed_model)
            return
        model_path = self.GetModelPath(input_dict)
        # First, because a version that is visible must not belong to a failed execution.
        io_utils.copy_dir(model_path, pushed_model.uri)
        published = publish(model_path, destination)
        self._MarkPushed(
            pushed_model,
            pushed_destination=published.url,
            pushed_version=str(published.version),
        )
