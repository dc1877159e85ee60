"""Checks that parameters of many functions have in common; each says what it received."""

import numbers
from collections.abc import Collection, Mapping
from typing import Any

from tfx_shrink.errors import ParameterError


def require_one_of(name: str, value: Any, known: Collection[str]) -> None:
    """Checks a parameter that is one of several words.

    Raises:
      ParameterError: It is none of them; the text lists them.
    """
    if value not in known:
        raise ParameterError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}.")


def require_above_0(values: Mapping[str, float | None]) -> None:
    """Checks parameters by name that must be above 0 where they are given.

    Raises:
      ParameterError: One is not, or is no number.
    """
    for name, value in values.items():
        if value is not None and not (_is_number(value) and value > 0):
            raise ParameterError(f"`{name}` must be above 0. Received: {name}={value!r}.")


def require_at_least(least: int, values: Mapping[str, float | None]) -> None:
    """Checks parameters by name that have a smallest value, where they are given.

    Raises:
      ParameterError: One is below it, or is no number.
    """
    for name, value in values.items():
        if value is not None and not (_is_number(value) and value >= least):
            raise ParameterError(f"`{name}` must be at least {least}. Received: {name}={value!r}.")


def require_model_names(model_names: Collection[str]) -> None:
    """Checks the names of the models that one call is about.

    Raises:
      ParameterError: There is none, or one is given twice.
    """
    if not model_names or len(set(model_names)) < len(model_names):
        raise ParameterError(
            "`model_names` must name one model or more, each of them once. "
            f"Received: model_names={list(model_names)}."
        )


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
