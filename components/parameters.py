"""Checks that parameters of many functions have in common; each says what it received."""

import math
import numbers
from collections.abc import Collection, Mapping
from typing import Any

from tfx_shrink.errors import ParameterError

_MAX_PORT = 65535


def require_one_of(name: str, value: Any, known: Collection[str]) -> None:
    """Checks a parameter that is one of several words.

    Raises:
      ParameterError: It is none of them; the text lists them.
    """
    # A list, so that a value of any type can be looked for.
    if value not in list(known):
        raise ParameterError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}.")


def require_above_0(values: Mapping[str, Any]) -> None:
    """Checks parameters by name that must be finite numbers above 0 where they are given.

    Raises:
      ParameterError: One is not.
    """
    for name, value in values.items():
        if value is not None and not (_is_finite(value) and value > 0):
            raise ParameterError(
                f"`{name}` must be above 0, and finite. Received: {name}={value!r}."
            )


def require_at_least(least: int, values: Mapping[str, Any]) -> None:
    """Checks parameters by name that must be finite and have a smallest value, where given.

    Raises:
      ParameterError: One is not, or is below it.
    """
    for name, value in values.items():
        if value is not None and not (_is_finite(value) and value >= least):
            raise ParameterError(
                f"`{name}` must be at least {least}, and finite. Received: {name}={value!r}."
            )


def require_counts(values: Mapping[str, Any]) -> None:
    """Checks parameters by name that must be whole numbers from 1 where they are given.

    Raises:
      ParameterError: One is not.
    """
    for name, value in values.items():
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise ParameterError(
                f"`{name}` must be at least 1, and whole. Received: {name}={value!r}."
            )


def require_port(port: int | None) -> None:
    """Checks a port to listen on, where one is given.

    Raises:
      ParameterError: It is none.
    """
    if port is not None and not 0 <= port <= _MAX_PORT:
        raise ParameterError(
            f"`port` must be from 0, for any that is free, to {_MAX_PORT}. Received: port={port}."
        )


def require_one_length(epochs: int | None, num_steps: int | None) -> None:
    """Checks that training is not given two lengths.

    Raises:
      ParameterError: Both are given.
    """
    if epochs is not None and num_steps is not None:
        raise ParameterError(
            "Give `epochs` or the number of steps, not both. Received: "
            f"epochs={epochs}, num_steps={num_steps}."
        )


def require_one_module(module_path: Any, module_file: Any) -> None:
    """Checks that user code comes from one place.

    Raises:
      ParameterError: Both are given.
    """
    if module_path and module_file:
        raise ParameterError(
            "Give `module_path` or `module_file`, not both. Received: "
            f"module_path={module_path!r}, module_file={module_file!r}."
        )


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


def _is_finite(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
