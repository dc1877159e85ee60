"""What components and executors need of TFX beyond tfx.v1."""

from tfx.components.pusher.executor import Executor as PusherExecutor
from tfx.dsl.components.base.base_beam_component import BaseBeamComponent
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec, ExecutorClassSpec
from tfx.dsl.io import fileio
from tfx.orchestration.data_types import RuntimeParameter
from tfx.proto.pusher_pb2 import PushDestination
from tfx.proto.trainer_pb2 import TrainArgs
from tfx.types import BaseChannel, Channel, ComponentSpec, artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, json_utils, path_utils, proto_utils

__all__ = [
    "BaseBeamComponent",
    "BaseBeamExecutor",
    "BaseChannel",
    "BaseComponent",
    "BeamExecutorSpec",
    "Channel",
    "ChannelParameter",
    "ComponentSpec",
    "ExecutionParameter",
    "ExecutorClassSpec",
    "PushDestination",
    "PusherExecutor",
    "RuntimeParameter",
    "TrainArgs",
    "artifact_utils",
    "fileio",
    "io_utils",
    "json_utils",
    "path_utils",
    "proto_utils",
    "standard_artifacts",
]
