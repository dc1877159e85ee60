"""Parameters of a component, some of which have their value only when the pipeline runs."""

from collections.abc import Mapping
from typing import Any

from tfx_shrink.tfx_seam.components import RuntimeParameter


def known(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those that have their value already, by name."""
    return {
        name: value for name, value in parameters.items() if not isinstance(value, RuntimeParameter)
    }


def as_float(value: Any) -> Any:
    """Returns an integer as the float that a specification wants, and anything else as it is."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
