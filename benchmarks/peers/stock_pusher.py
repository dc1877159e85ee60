"""The copy that the stock Pusher makes, to S3 by way of tensorflow-io."""

import tensorflow_io  # noqa: F401  # Registers s3://.
from tfx.utils import io_utils


def push(model: str, version: str) -> None:
    """Copies a model as the stock Pusher does: everything, and `saved_model.pb` last."""
    io_utils.copy_dir(model, version, deny_regex_patterns=[r"saved_model\.pb"])
    io_utils.copy_file(f"{model}/saved_model.pb", f"{version}/saved_model.pb")
