"""Figures that a benchmark must reach."""

import numpy as np


def check(
    missed: list[str], what: str, value: float, *, least: float = -np.inf, most: float = np.inf
) -> None:
    """Adds a figure to those that are missed if it lies outside its limits."""
    if not least <= value <= most:
        limit = f"at least {least:g}" if value < least else f"at most {most:g}"
        missed.append(f"{what} {value:.4g}, {limit} is asked for")
