"""Whether training goes through what is served."""

import numpy as np
import tensorflow as tf

from tfx_shrink.errors import ExamplesError, UntrainableError
from tfx_shrink.examples.batches import run_in_batches
from tfx_shrink.model_files import SERVING_DEFAULT
from tfx_shrink.proof.source import Source
from tfx_shrink.saved_model.functions import ServedFunction, list_functions

_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
# What a signature may do to the answer of the model that it serves.
_FINISHING = (
    lambda values: values,
    lambda values: tf.nn.softmax(values).numpy(),
    lambda values: tf.sigmoid(values).numpy(),
)


def require_served_alike(source: Source, function: ServedFunction, instead: str) -> None:
    """Checks that a function answers rows as `serving_default` does, but for a softmax or sigmoid.

    A signature that prepares its input otherwise would be trained on rows that it never sees.
    Answers that cannot be compared, since rows or shapes differ, are not.

    Args:
      source: The model, and rows.
      function: What training would go through.
      instead: What else the user can do, for the message.

    Raises:
      UntrainableError: It answers otherwise.
    """
    served = {each.name: each for each in list_functions(source.loaded)}.get(SERVING_DEFAULT)
    if served is None or served.name == function.name or len(served.outputs) != 1:
        return
    try:
        expected = _answers(source, served)
        actual = _answers(source, function)
    except (ExamplesError, tf.errors.InvalidArgumentError):
        return
    numeric = all(np.issubdtype(each.dtype, np.floating) for each in (expected, actual))
    if not numeric or expected.shape != actual.shape:
        return
    # Rows without finite answers are for training to stop at.
    finite = np.isfinite(expected + actual).reshape(len(expected), -1).all(axis=1)
    expected, actual = expected[finite], actual[finite]
    if not len(expected):
        return
    if any(np.allclose(expected, finish(actual), _RELATIVE, _ABSOLUTE) for finish in _FINISHING):
        return
    moved = float(np.abs(expected - actual).max())
    raise UntrainableError(
        f"Training would go through {function.name}, which answers rows otherwise than "
        f"{SERVING_DEFAULT} does, by up to {moved:.3g}: what was trained would not be what is "
        "served. Give rows that the model itself reads, such as Transform's with its "
        f"`transform_graph`, or {instead}."
    )


def _answers(source: Source, function: ServedFunction) -> np.ndarray:
    rows = source.proof_rows(function)
    (values,) = run_in_batches(function.call_arrays, rows, function.inputs).values()
    return values
