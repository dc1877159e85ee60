"""Which channels of a Keras network belong together, and which of them can go."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from tfx_shrink.training.activations import activation_name

_layers = tf_keras.layers

# Make channels of their own: kernel [..., inputs, channels].
_MAKING = (_layers.Dense, _layers.Conv1D, _layers.Conv2D, _layers.Conv3D)
# Leave every channel where it is, and look at no other.
_KEEPING = (
    _layers.Activation,
    _layers.AlphaDropout,
    _layers.AveragePooling1D,
    _layers.AveragePooling2D,
    _layers.AveragePooling3D,
    _layers.BatchNormalization,
    _layers.DepthwiseConv2D,
    _layers.Dropout,
    _layers.ELU,
    _layers.GaussianDropout,
    _layers.GaussianNoise,
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalMaxPooling1D,
    _layers.GlobalMaxPooling2D,
    _layers.LeakyReLU,
    _layers.MaxPooling1D,
    _layers.MaxPooling2D,
    _layers.MaxPooling3D,
    _layers.ReLU,
    _layers.SpatialDropout1D,
    _layers.SpatialDropout2D,
    _layers.UpSampling2D,
    _layers.ZeroPadding1D,
    _layers.ZeroPadding2D,
)
# Join channels of equal number one by one, as a residual block does.
_JOINING = (
    _layers.Add,
    _layers.Average,
    _layers.Maximum,
    _layers.Minimum,
    _layers.Multiply,
    _layers.Subtract,
)
_MIXING = {"softmax", "log_softmax"}


@dataclasses.dataclass(frozen=True)
class Channels:
    """The last axis of a tensor.

    Attributes:
      group: Number of the group of channels; what shares a group goes or stays together.
      copies: How often the group's channels stand there one after the other: 1, but for a Flatten.
    """

    group: int
    copies: int = 1


@dataclasses.dataclass(frozen=True)
class ChannelGraph:
    """The channels of a network.

    Attributes:
      outputs: What each layer gives, by the layer's name.
      inputs: What each layer is given first, by the layer's name.
      sizes: How many channels a group has.
      makers: The Dense and Conv layers that make a group's channels.
      fixed: Why a group must keep all of its channels.
    """

    outputs: Mapping[str, Channels]
    inputs: Mapping[str, Channels]
    sizes: Mapping[int, int]
    makers: Mapping[int, list[str]]
    fixed: Mapping[int, str]


def channel_graph(network: tf_keras.Model) -> ChannelGraph:
    """Follows the channels through a network.

    Args:
      network: A Functional model whose layers belong to no other model.

    Returns:
      The groups of channels, and why some of them must stay as they are.
    """
    groups = _Groups()
    channels: dict[int, Channels] = {}
    outputs: dict[str, Channels] = {}
    inputs: dict[str, Channels] = {}
    waiting = [(layer, node) for layer in network.layers for node in layer.inbound_nodes]
    while waiting:
        ready = [
            (layer, node)
            for layer, node in waiting
            if isinstance(layer, _layers.InputLayer)
            or all(id(tensor) in channels for tensor in node.keras_inputs)
        ]
        for layer, node in ready:
            given = [channels[id(tensor)] for tensor in node.keras_inputs if id(tensor) in channels]
            made = _follow(layer, node, given, groups)
            if len(layer.inbound_nodes) > 1:
                for each in (*given, made):
                    groups.fix(each, f"{layer.name} is used more than once")
            channels.update((id(tensor), made) for tensor in tf.nest.flatten(node.outputs))
            outputs[layer.name] = made
            if given:
                inputs[layer.name] = given[0]
        waiting = [item for item in waiting if item not in ready]
    for tensor in network.outputs:
        groups.fix(channels[id(tensor)], "they are an output of the model")
    makers: dict[int, list[str]] = {}
    for layer in network.layers:
        if type(layer) in _MAKING:
            if activation_name(layer.activation) in _MIXING:
                groups.fix(outputs[layer.name], f"{layer.name} mixes them by its activation")
            makers.setdefault(groups.root(outputs[layer.name]), []).append(layer.name)
    return ChannelGraph(
        {name: groups.resolved(item) for name, item in outputs.items()},
        {name: groups.resolved(item) for name, item in inputs.items()},
        groups.sizes,
        makers,
        groups.fixed(),
    )


def _follow(layer: Any, node: Any, given: Sequence[Channels], groups: "_Groups") -> Channels:
    """The channels that a layer gives, from those that it is given."""
    size = tf.nest.flatten(node.outputs)[0].shape[-1]
    if isinstance(layer, _layers.InputLayer):
        made = groups.add(size)
        groups.fix(made, "they are an input of the model")
        return made
    reason = _obstacle(layer, node, given)
    if reason is not None:
        made = groups.add(size)
        for each in (*given, made):
            groups.fix(each, f"{layer.name} ({type(layer).__name__}) {reason}")
        return made
    if type(layer) in _MAKING:
        return groups.add(size)
    if isinstance(layer, _layers.Flatten):
        before = node.keras_inputs[0].shape[-1]
        return Channels(given[0].group, given[0].copies * size // before)
    for other in given[1:]:
        groups.join(given[0], other)
    return given[0]


def _obstacle(layer: Any, node: Any, given: Sequence[Channels]) -> str | None:
    """Why channels cannot go before or after a layer; None where they can."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return "has its channels first"
    if type(layer) in _MAKING:
        return "has groups" if getattr(layer, "groups", 1) > 1 else None
    if isinstance(layer, _layers.Flatten):
        return "flattens an open length" if None in node.outputs.shape[1:] else None
    if type(layer) in _JOINING:
        sizes = {tensor.shape[-1] for tensor in node.keras_inputs}
        same = len(sizes) == 1 and len({each.copies for each in given}) == 1
        return None if same else f"joins unequal numbers of channels {sorted(sizes)}"
    if type(layer) not in _KEEPING:
        return "is of a kind through which channels are not followed"
    if isinstance(layer, _layers.DepthwiseConv2D) and layer.depth_multiplier != 1:
        return "multiplies channels"
    if isinstance(layer, _layers.BatchNormalization):
        axes = [axis % node.outputs.shape.rank for axis in tf.nest.flatten(layer.axis)]
        return None if axes == [node.outputs.shape.rank - 1] else "normalizes another axis"
    if isinstance(layer, _layers.Activation) and activation_name(layer.activation) in _MIXING:
        return "mixes channels"
    return None


class _Groups:
    """Groups of channels that are joined as they turn out to be one (union-find)."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self._joined: dict[int, int] = {}
        self._reasons: dict[int, str] = {}

    def add(self, size: int) -> Channels:
        group = len(self.sizes)
        self.sizes[group] = size
        return Channels(group)

    def root(self, channels: Channels) -> int:
        group = channels.group
        while group in self._joined:
            group = self._joined[group]
        return group

    def resolved(self, channels: Channels) -> Channels:
        return Channels(self.root(channels), channels.copies)

    def join(self, one: Channels, other: Channels) -> None:
        kept, gone = self.root(one), self.root(other)
        if kept != gone:
            self._joined[gone] = kept
            if gone in self._reasons:
                self._reasons.setdefault(kept, self._reasons[gone])

    def fix(self, channels: Channels, reason: str) -> None:
        self._reasons.setdefault(self.root(channels), reason)

    def fixed(self) -> dict[int, str]:
        return {group: self._reasons[group] for group in self._reasons if group not in self._joined}
