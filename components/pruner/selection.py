"""Which weights are pruned, and why the others are not."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Sequence

from tfx_shrink.errors import ModelError, ParameterError
from tfx_shrink.examples.features import shortened
from tfx_shrink.pruner.patterns import uncovered
from tfx_shrink.saved_model.weights import CONVOLUTION, DEPTHWISE, EMBEDDING, MATRIX, Weight

_LEFT_ALONE = {
    EMBEDDING: "an embedding; name its layer in `layers` to prune it",
    DEPTHWISE: "depthwise: few weights, each of them used often",
}


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is pruned.

    Attributes:
      weights: The weights that are pruned.
      skipped: Why others are not, by name; biases, normalization and the like are not listed.
    """

    weights: list[Weight]
    skipped: dict[str, str]


def matches(layer: str, globs: Iterable[str]) -> bool:
    """Tells whether a layer's name, or any part of its path, matches one of the globs."""
    names = [layer, *layer.split("/")]
    return any(fnmatch.fnmatchcase(name, glob) for name in names for glob in globs)


def check_globs(
    layers: Sequence[str] | None, skip_layers: Sequence[str], known: Sequence[str]
) -> None:
    """Checks that every glob means some layer.

    Args:
      layers: Globs of layers to prune, or None.
      skip_layers: Globs of layers to leave.
      known: Names of all layers with weights.

    Raises:
      ParameterError: One matches nothing; the text lists the layers.
    """
    for parameter, globs in (("layers", layers or ()), ("skip_layers", skip_layers)):
        for glob in globs:
            if not any(matches(layer, [glob]) for layer in known):
                raise ParameterError(
                    f"`{parameter}` {glob!r} matches no layer. The model has {shortened(known)}."
                )


def select(
    weights: Sequence[Weight],
    pattern: str,
    layers: Sequence[str] | None = None,
    skip_layers: Sequence[str] = (),
) -> Selection:
    """Chooses the weights of matrix products and convolutions, unless layers are named.

    Args:
      weights: All weights of a model.
      pattern: What they are to be pruned to.
      layers: Globs of layers to prune, embeddings too. Defaults to None: every matrix and
        convolution.
      skip_layers: Globs of layers to leave. Defaults to none.

    Returns:
      What is pruned, and why the rest is not.

    Raises:
      ParameterError: A glob matches nothing.
      ModelError: Nothing is left to prune.
    """
    check_globs(layers, skip_layers, sorted({weight.layer for weight in weights}))
    chosen, skipped = [], {}
    for weight in weights:
        reason = _reason(weight, pattern, layers, skip_layers)
        if reason is None:
            chosen.append(weight)
        elif reason:
            skipped[weight.name] = reason
    if not chosen:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in skipped.items())
        raise ModelError(
            f"The model has no weight to prune by pattern={pattern!r}. Name other `layers`, or use "
            f"another `pattern`.{reasons}"
        )
    return Selection(chosen, skipped)


def _reason(
    weight: Weight, pattern: str, layers: Sequence[str] | None, skip_layers: Sequence[str]
) -> str | None:
    """Why a weight is not pruned: a sentence, nothing where nobody would ask, None where it is."""
    named = layers is not None and matches(weight.layer, layers)
    if weight.use not in (MATRIX, CONVOLUTION) and not (named and weight.use == EMBEDDING):
        asked = "neither matrix, convolution nor embedding" if named else ""
        return _LEFT_ALONE.get(weight.use, asked)
    if matches(weight.layer, skip_layers):
        return "named in `skip_layers`"
    if layers is not None and not named:
        return "not named in `layers`"
    if not weight.variable.trainable:
        return "not trainable"
    return uncovered(pattern, weight.variable.shape)
