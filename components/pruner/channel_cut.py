"""A network without some of its channels: the same layers, narrower, with the weights that stay."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tf_keras

from tfx_shrink.training.channel_graph import ChannelGraph, Channels

_layers = tf_keras.layers


def strongest(
    network: tf_keras.Model, graph: ChannelGraph, groups: Collection[int], sparsity: float
) -> dict[int, np.ndarray]:
    """Chooses the channels that stay: those whose weights have the largest L2 norm.

    Where several layers make the channels of a group, their norms are added up (Li et al., 2017).

    Args:
      network: The network.
      graph: Its channels.
      groups: The groups that lose channels.
      sparsity: Share of channels that go; at least one stays.

    Returns:
      Sorted indices of the channels that stay, by group.
    """
    stay = {}
    for group in groups:
        squares = np.zeros(graph.sizes[group])
        for name in graph.makers[group]:
            kernel = network.get_layer(name).kernel.numpy()
            squares += np.square(kernel.reshape(-1, kernel.shape[-1])).sum(axis=0)
        count = max(1, round(len(squares) * (1 - sparsity)))
        stay[group] = np.sort(np.argsort(-squares, kind="stable")[:count])
    return stay


def cut(
    network: tf_keras.Model, graph: ChannelGraph, stay: Mapping[int, np.ndarray]
) -> tf_keras.Model:
    """Builds the narrower network.

    Args:
      network: The network, unchanged.
      graph: Its channels.
      stay: Indices of the channels that stay, by group; groups that are not named keep all.

    Returns:
      A new network with the weights that stay.
    """

    def narrower(layer: Any) -> Any:
        config = layer.get_config()
        channels = graph.outputs.get(layer.name)
        if channels is not None and channels.group in stay:
            for key in ("units", "filters"):
                if key in config:
                    config[key] = len(stay[channels.group])
        return type(layer).from_config(config)

    result = tf_keras.models.clone_model(network, clone_function=narrower)
    for layer in network.layers:
        values = layer.get_weights()
        if values:
            after = _indices(graph.outputs[layer.name], graph, stay)
            before = _indices(graph.inputs[layer.name], graph, stay)
            names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]
            result.get_layer(layer.name).set_weights(
                [
                    _kept(name, value, before, after)
                    for name, value in zip(names, values, strict=True)
                ]
            )
    return result


def _indices(
    channels: Channels, graph: ChannelGraph, stay: Mapping[int, np.ndarray]
) -> np.ndarray | None:
    """Which places of a tensor's last axis stay; None for all."""
    if channels.group not in stay:
        return None
    starts = np.arange(channels.copies)[:, None] * graph.sizes[channels.group]
    return (starts + stay[channels.group]).ravel()


def _kept(
    name: str, value: np.ndarray, before: np.ndarray | None, after: np.ndarray | None
) -> np.ndarray:
    if name == "depthwise_kernel":
        return value if before is None else value[:, :, before]
    if name == "kernel" and before is not None:
        value = value[..., before, :]
    return value if after is None else value[..., after]
