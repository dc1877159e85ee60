"""Writes a report: the JSON that everything is drawn from, and the HTML that shows it."""

import json
import os
from collections.abc import Mapping
from typing import Any

from tfx_shrink.report.page import render_page

HTML, JSON = "report.html", "report.json"


def write_report(facts: Mapping[str, Any], out_dir: str) -> None:
    """Writes `report.html` and `report.json`.

    Args:
      facts: JSON values, as `efficiency_validator.validate` gathers them.
      out_dir: An existing local directory.
    """
    # As a reader of the file will see it: keys are texts, tuples are lists.
    text = json.dumps(facts, indent=1)
    with open(os.path.join(out_dir, JSON), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(out_dir, HTML), "w", encoding="utf-8") as file:
        file.write(render_page(json.loads(text)))
