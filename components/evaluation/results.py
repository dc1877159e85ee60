"""What an Evaluator measured, slice by slice."""

from collections.abc import Iterable
from typing import Any

import tensorflow_model_analysis as tfma


def read_metrics(evaluation_uri: str) -> list[dict[str, Any]]:
    """Reads the metrics that are single numbers.

    Args:
      evaluation_uri: Where the stock Evaluator wrote its results.

    Returns:
      `{"slice", "metric", "model", "baseline"}`, one for each metric and slice; `"slice"` is empty
      for all rows, `"baseline"` None where there was none.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for by_slice in tfma.load_metrics(evaluation_uri):
        name = slice_name(by_slice.slice_key.single_slice_keys)
        for item in by_slice.metric_keys_and_values:
            key, value = item.key, item.value
            if key.is_diff or not value.HasField("double_value"):
                continue
            entry = found.setdefault(
                (name, key.name),
                {"slice": name, "metric": key.name, "model": None, "baseline": None},
            )
            side = "baseline" if key.model_name == tfma.BASELINE_KEY else "model"
            entry[side] = value.double_value.value
    return [entry for entry in found.values() if entry["model"] is not None]


def slice_name(keys: Iterable[Any]) -> str:
    """Returns a slice as text, such as `"hour=3, day=1"`; empty for all rows."""
    parts = []
    for key in keys:
        value = getattr(key, key.WhichOneof("kind"))
        parts.append(f"{key.column}={value.decode() if isinstance(value, bytes) else value}")
    return ", ".join(parts)
