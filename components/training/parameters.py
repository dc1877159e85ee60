"""Checks that the parameters of every technique that trains have in common."""

from typing import Any

from tfx_shrink.errors import ParameterError


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
