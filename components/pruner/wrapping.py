"""Keras layers wrapped by TFMOT, which prunes them while they train."""

import dataclasses
from collections.abc import Collection
from typing import Any

import tensorflow_model_optimization as tfmot
import tf_keras
from tensorflow_model_optimization.python.core.sparsity.keras.prune_registry import PruneRegistry

from tfx_shrink.errors import ModelError
from tfx_shrink.pruner.patterns import BLOCK_1X4, TWO_OF_FOUR
from tfx_shrink.pruner.schedule import Schedule

_BLOCK = (1, 4)
_PATTERNS = {BLOCK_1X4: {"block_size": _BLOCK}, TWO_OF_FOUR: {"sparsity_m_by_n": (2, 4)}}


@dataclasses.dataclass(frozen=True)
class Wrapped:
    """A network to train.

    Attributes:
      network: The network with wrapped layers; the layers inside are those that it was made from.
      names: The weights that TFMOT prunes.
      skipped: Why the others that were asked for are left alone, by name.
    """

    network: tf_keras.Model
    names: list[str]
    skipped: dict[str, str]


def wrap(
    network: tf_keras.Model, names: Collection[str], pattern: str, schedule: Schedule
) -> Wrapped:
    """Wraps the layers that hold certain weights.

    Args:
      network: A Functional model. Its layers go into the result.
      names: Names of the weights to prune.
      pattern: `"unstructured"`, `"block_1x4"` or `"2_of_4"`.
      schedule: How sparse each step leaves them.

    Returns:
      The wrapped network, to be compiled and trained with TFMOT's `UpdatePruningStep`.

    Raises:
      ModelError: TFMOT supports none of the layers.
    """
    pruned: list[str] = []
    skipped: dict[str, str] = {}
    options = {"pruning_schedule": _as_tfmot(schedule), **_PATTERNS.get(pattern, {})}

    def wrapped(layer: Any) -> Any:
        if isinstance(layer, tf_keras.Model):
            return tf_keras.models.clone_model(layer, clone_function=wrapped)
        wanted = {_name(weight) for weight in layer.weights} & set(names)
        if not wanted:
            return layer
        prunable = _prunable(layer)
        for name in wanted - prunable:
            skipped[name] = f"TFMOT does not prune it in a layer {type(layer).__name__}"
        if pattern == BLOCK_1X4 and any(_in_one_row(weight) for weight in layer.weights):
            skipped.update(dict.fromkeys(wanted, "TFMOT needs more than one row and one block"))
            return layer
        if not wanted & prunable:
            return layer
        if others := sorted(prunable - wanted):
            for name in wanted & prunable:
                skipped[name] = f"TFMOT would prune {others} of its layer too"
            return layer
        pruned.extend(sorted(prunable))
        return tfmot.sparsity.keras.prune_low_magnitude(layer, **options)

    result = tf_keras.models.clone_model(network, clone_function=wrapped)
    if not pruned:
        raise ModelError(f"TFMOT supports none of the layers: {skipped}")
    return Wrapped(result, pruned, skipped)


def _prunable(layer: tf_keras.layers.Layer) -> set[str]:
    """Names of the weights that TFMOT would prune in a layer."""
    if not hasattr(layer, "get_prunable_weights"):
        if not PruneRegistry.supports(layer):
            return set()
        PruneRegistry.make_prunable(layer)
    return {_name(weight) for weight in layer.get_prunable_weights()}


def _in_one_row(weight: Any) -> bool:
    """Whether blocks of a matrix lie in one row or column, which TFMOT takes for a vector."""
    return weight.shape.rank == 2 and (weight.shape[0] == 1 or weight.shape[1] <= _BLOCK[1])


def _name(weight: Any) -> str:
    return weight.name.split(":")[0]


def _as_tfmot(schedule: Schedule) -> Any:
    sparsity = tfmot.sparsity.keras
    if schedule.name == "constant" or schedule.begin == schedule.end:
        return sparsity.ConstantSparsity(
            schedule.target, schedule.begin, schedule.end, schedule.every
        )
    return sparsity.PolynomialDecay(
        0.0, schedule.target, schedule.begin, schedule.end, frequency=schedule.every
    )
