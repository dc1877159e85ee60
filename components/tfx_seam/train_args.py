"""The stock Trainer's arguments, as components that train take them."""

from collections.abc import Mapping
from typing import Any

from tfx.proto.trainer_pb2 import TrainArgs
from tfx.utils import json_utils, proto_utils


def steps_and_splits(exec_properties: Mapping[str, Any]) -> tuple[int | None, list[str]]:
    """Returns for how many steps to train, if that is given, and on which splits.

    Args:
      exec_properties: With `train_args`, optional, whose splits go before `splits`.
    """
    train_args = TrainArgs()
    if exec_properties.get("train_args"):
        proto_utils.json_to_proto(exec_properties["train_args"], train_args)
    splits = list(train_args.splits) or json_utils.loads(exec_properties["splits"])
    return train_args.num_steps or None, splits
