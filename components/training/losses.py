"""Which loss a label and an output call for, where nobody says."""

from typing import Any

import numpy as np
import tf_keras

from tfx_shrink.errors import ParameterError, UntrainableError

_REMEDY = (
    "Give `loss`, the name of a Keras loss, or `module_path` or `module_file` with a `compile_fn`."
)
# What a model may predict: one of several classes, yes or no, or numbers.
CLASSES, BINARY, REGRESSION = "classes", "binary", "regression"
_CROSS_ENTROPIES = {
    "binary_crossentropy": tf_keras.losses.BinaryCrossentropy,
    "binary_focal_crossentropy": tf_keras.losses.BinaryFocalCrossentropy,
    "categorical_crossentropy": tf_keras.losses.CategoricalCrossentropy,
    "categorical_focal_crossentropy": tf_keras.losses.CategoricalFocalCrossentropy,
    "sparse_categorical_crossentropy": tf_keras.losses.SparseCategoricalCrossentropy,
}
_REGRESSIONS = {
    "huber": tf_keras.losses.Huber,
    "log_cosh": tf_keras.losses.LogCosh,
    "mean_absolute_error": tf_keras.losses.MeanAbsoluteError,
    "mean_absolute_percentage_error": tf_keras.losses.MeanAbsolutePercentageError,
    "mean_squared_error": tf_keras.losses.MeanSquaredError,
    "mean_squared_logarithmic_error": tf_keras.losses.MeanSquaredLogarithmicError,
    "poisson": tf_keras.losses.Poisson,
}
# By class and by function, for a user's own may have any name.
_TASKS: dict[Any, str] = {
    loss: REGRESSION if name in _REGRESSIONS else (BINARY if name.startswith("binary") else CLASSES)
    for name, kind in {**_CROSS_ENTROPIES, **_REGRESSIONS}.items()
    for loss in (kind, tf_keras.losses.get(name))
}
# Keras knows each by the name of its class too.
_CROSS_ENTROPIES |= {kind.__name__: kind for kind in _CROSS_ENTROPIES.values()}


def check_loss_name(name: str) -> None:
    """Checks that Keras knows a loss of this name.

    Raises:
      ParameterError: It does not.
    """
    try:
        tf_keras.losses.get(name)
    except ValueError as error:
        raise ParameterError(
            f"`loss` must be the name of a Keras loss, such as 'binary_crossentropy' or "
            f"'mse'. Received: loss={name!r}."
        ) from error


def named_loss(name: str, probabilities: bool) -> tf_keras.losses.Loss:
    """Returns a loss by name; a cross entropy as the output needs it, never a softmax twice.

    Args:
      name: A name that Keras knows.
      probabilities: Whether the output is probabilities, not logits.
    """
    if name in _CROSS_ENTROPIES:
        return _CROSS_ENTROPIES[name](from_logits=not probabilities)
    return tf_keras.losses.get(name)


def task_of_loss(loss: Any) -> str | None:
    """Tells what a model predicts from what it was compiled with.

    Args:
      loss: A name, function or object of Keras or of the user, or None.

    Returns:
      `"classes"`, `"binary"` or `"regression"`; None where the loss is not known to be one of them.
    """
    if isinstance(loss, str):
        try:
            loss = tf_keras.losses.get(loss)
        except ValueError:
            return None
    if isinstance(loss, tf_keras.losses.Loss):
        return _TASKS.get(type(loss))
    return _TASKS.get(loss) if callable(loss) else None


def infer_loss(outputs: np.ndarray, labels: np.ndarray, probabilities: bool) -> str:
    """Names the loss that an output and a label call for.

    Args:
      outputs: `[rows, ...]`, what the model gives for some rows.
      labels: `[rows]` or `[rows, width]`, the labels of these rows.
      probabilities: Whether the outputs are probabilities, not logits.

    Returns:
      A name that Keras knows.

    Raises:
      UntrainableError: They do not fit each other, or more than one loss would.
    """
    width = outputs.shape[1] if outputs.ndim > 1 else 1
    whole = bool((labels == np.round(labels)).all())
    if labels.ndim == 1 and outputs.ndim == 2 and width > 1 and whole:
        if labels.min() >= 0 and labels.max() < width:
            return "sparse_categorical_crossentropy"
    elif labels.ndim == 1 and width == 1:
        if set(np.unique(labels)) <= {0, 1}:
            if probabilities or np.issubdtype(labels.dtype, np.integer):
                return "binary_crossentropy"
        elif not probabilities:
            return "mean_squared_error"
    elif labels.shape == outputs.shape:
        if whole and (labels.sum(-1) == 1).all() and labels.min() >= 0:
            return "categorical_crossentropy"
        if not probabilities:
            return "mean_squared_error"
    raise UntrainableError(
        f"No loss follows from labels {shown(labels)} and outputs {shown(outputs)}. {_REMEDY}"
    )


def shown(values: np.ndarray) -> str:
    """Describes numbers for a message: their type, shape and range."""
    return (
        f"{values.dtype.name} {('rows', *values.shape[1:])} in "
        f"[{values.min():.3g}, {values.max():.3g}]"
    )
