"""The sparsity that a saved model really has."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_shrink.errors import ProofError
from tfx_shrink.pruner.patterns import TWO_OF_FOUR, UNSTRUCTURED, has_two_of_four, zero_units
from tfx_shrink.saved_model.functions import load
from tfx_shrink.saved_model.weights import list_weights

# By how much the share of zeros may miss its target, besides rounding to whole weights or blocks.
_TOLERANCE = 0.01


@dataclasses.dataclass(frozen=True)
class Sparsity:
    """Zeros of a saved model's pruned weights.

    Attributes:
      overall: Share of zeros in all of them.
      by_weight: Share of zeros in each, by name.
    """

    overall: float
    by_weight: dict[str, float]


def measure_sparsity(model_dir: str, names: Sequence[str]) -> tuple[Sparsity, list[np.ndarray]]:
    """Reads weights from a saved model and counts their zeros.

    Args:
      model_dir: The SavedModel's directory.
      names: Names of the weights.

    Returns:
      The shares, and the weights.

    Raises:
      ProofError: The model lacks one of them.
    """
    loaded = load(model_dir)
    weights = [weight for weight in list_weights(loaded) if weight.name in set(names)]
    if missing := sorted(set(names) - {weight.name for weight in weights}):
        raise ProofError(f"The saved model lacks the weights {missing}.")
    tensors = [weight.variable.numpy() for weight in weights]
    zeros = [int((tensor == 0).sum()) for tensor in tensors]
    return (
        Sparsity(
            overall=sum(zeros) / sum(tensor.size for tensor in tensors),
            by_weight={
                weight.name: count / tensor.size
                for weight, count, tensor in zip(weights, zeros, tensors, strict=True)
            },
        ),
        tensors,
    )


def prove_sparsity(
    model_dir: str, names: Sequence[str], pattern: str, target: float, scope: str
) -> Sparsity:
    """Checks that a saved model has the zeros that were asked for.

    Args:
      model_dir: The SavedModel's directory.
      names: Names of the pruned weights.
      pattern: Any but `"channel"`.
      target: Share of zeros.
      scope: `"tensor"` or `"global"`.

    Returns:
      What was measured.

    Raises:
      ProofError: A weight, or with `"global"` all of them together, misses the target by more than
        one point beyond rounding; or four weights hold more than two.
    """
    measured, tensors = measure_sparsity(model_dir, names)
    if pattern == TWO_OF_FOUR:
        for name, tensor in zip(measured.by_weight, tensors, strict=True):
            if not has_two_of_four(tensor):
                raise ProofError(f"{name} has four weights of which more than two are not zero.")
        return measured
    counts = [zero_units(tensor, pattern) for tensor in tensors]
    if scope == "global":
        counts = [(sum(zeros for zeros, _ in counts), sum(units for _, units in counts))]
    called = ["the model"] if scope == "global" else list(measured.by_weight)
    for name, (zeros, units) in zip(called, counts, strict=True):
        rounding = (len(tensors) if scope == "global" else 1) / units
        if zeros / units < target - _TOLERANCE - rounding:
            unit = "weights" if pattern == UNSTRUCTURED else "blocks"
            raise ProofError(
                f"Of {units} {unit} of {name} {zeros} are zero: a sparsity of {zeros / units:.3f} "
                f"where {target} was asked for. Train for more steps, or use method='one_shot'."
            )
    return measured
