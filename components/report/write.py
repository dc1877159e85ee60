"""Writes a report: the JSON that everything is drawn from, and the HTML that shows it."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

from tfx_shrink.report import HTML, JSON
from tfx_shrink.report.page import render_page


def write_report(facts: Mapping[str, Any], out_dir: str) -> None:
    """Writes `report.html` and `report.json`.

    Args:
      facts: JSON values, as `efficiency_validator.validate` gathers them.
      out_dir: An existing local directory.
    """
    # As a reader of the file will see it: keys are texts, tuples are lists.
    text = json.dumps(_finite(facts), indent=1, allow_nan=False)
    with open(os.path.join(out_dir, JSON), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(out_dir, HTML), "w", encoding="utf-8") as file:
        file.write(render_page(json.loads(text)))


def _finite(value: Any) -> Any:
    """The same with None in the place of NaN and infinity, which JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
