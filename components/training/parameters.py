"""Checks that the parameters of every technique that trains have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfx_shrink.errors import ParameterError


def require_one_of(name: str, value: str, known: Sequence[str]) -> None:
    """Checks a parameter that is one of several words.

    Raises:
      ParameterError: It is none of them; the text lists them.
    """
    if value not in known:
        raise ParameterError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}.")


def require_positive(values: Mapping[str, float | None]) -> None:
    """Checks parameters by name that must be above 0 where they are given.

    Raises:
      ParameterError: One is not.
    """
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ParameterError(f"`{name}` must be above 0. Received: {name}={value!r}.")


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
