"""Runs every signature of a SavedModel beside its source's, on real rows."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ExamplesError, ProofError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.measure.difference import OutputDifference, output_difference
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import (
    CALL_FUNCTION,
    PREPROCESSING_SIGNATURES,
    ServedFunction,
    get_function,
    list_functions,
    load,
)


@dataclasses.dataclass(frozen=True)
class SignatureProof:
    """What the proof found.

    Attributes:
      difference: Over all signatures that predict and could be run.
      predicting: Those signatures' names, `serving_default` first.
      by_signature: Each signature's own, also of those that only prepare rows.
      not_run: Why the others could not be run.
    """

    difference: OutputDifference
    predicting: list[str]
    by_signature: dict[str, OutputDifference]
    not_run: dict[str, str]


def prove_signatures(
    source: Source, result_dir: str, names: Sequence[str] | None = None
) -> SignatureProof:
    """Compares what source and result answer under the same signature names.

    Args:
      source: The model and its rows.
      result_dir: The SavedModel that was made of it.
      names: The signatures that were kept. Defaults to None: all of the source's. Where both have a
        call function of their own, it is compared too.

    Returns:
      Differences and reasons, signature by signature.

    Raises:
      ProofError: A signature is missing, differs in its names or shapes, or holds NaN.
      ExamplesError: No signature that predicts could be run on these rows.
    """
    result = load(result_dir)
    sources = {function.name: function for function in list_functions(source.loaded)}
    kept = {function.name for function in list_functions(result)}
    found: dict[str, OutputDifference] = {}
    not_run: dict[str, str] = {}
    asked = list(names or [name for name in sources if name != CALL_FUNCTION])
    if CALL_FUNCTION in sources.keys() & kept:
        # Rows that Transform wrote suit no signature over raw Examples.
        asked.append(CALL_FUNCTION)
    for name in asked:
        if name not in kept:
            raise ProofError(f"Signature {name!r} was lost; the result has {sorted(kept)}.")
        function = sources[name]
        try:
            rows = source.proof_rows(function)
            expected = _run(function, rows)
        except (ExamplesError, tf.errors.InvalidArgumentError) as error:
            not_run[name] = str(error).splitlines()[0]
            continue
        counterpart = get_function(result, name)
        if name == CALL_FUNCTION:
            # A student may read fewer features than its teacher.
            rows = {key: rows[key] for key in rows if key in counterpart.inputs}
        try:
            actual = _run(counterpart, rows)
        except tf.errors.OpError as error:
            raise ProofError(f"Signature {name!r} of the result does not run: {error}") from error
        if name == CALL_FUNCTION and len(expected) == len(actual) == 1:
            # Named after the output of some signature, perhaps of one that was dropped.
            actual = dict(zip(expected, actual.values(), strict=True))
        found[name] = output_difference(expected, actual)
    predicting = [name for name in found if name not in PREPROCESSING_SIGNATURES]
    if not predicting:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in not_run.items())
        raise ExamplesError(f"No signature could be run on these rows:{reasons}")
    overall = OutputDifference(
        max=max(found[name].max for name in predicting),
        p99=max(found[name].p99 for name in predicting),
        rows=max(found[name].rows for name in predicting),
    )
    return SignatureProof(overall, predicting, found, not_run)


def _run(function: ServedFunction, rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return run_in_batches(function.call_arrays, rows, function.inputs)
