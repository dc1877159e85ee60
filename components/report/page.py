"""The report as one HTML page that loads nothing."""

import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2

from tfx_shrink.report.charts import make_charts
from tfx_shrink.version import __version__

# The page stays small; report.json has them all.
_MAX_METRICS = 200
# What a step of the compression record says of what it did not do.
_LEFT_OUT = ("skipped", "signatures_not_kept", "signatures_not_run")


def render_page(facts: Mapping[str, Any]) -> str:
    """Renders a report.

    The page holds its style and its charts (SVG), runs no script and asks for nothing; it follows
    the reader's choice of light or dark, and is laid out for a phone too.

    Args:
      facts: The report's JSON.

    Returns:
      The HTML.
    """
    files = importlib.resources.files("tfx_shrink.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["short"] = lambda value: "–" if value is None else f"{value:.4g}"
    environment.filters["share"] = lambda value: f"{value:.1%}"
    template = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    return template.render(
        facts=facts,
        evaluation=facts["evaluation"][:_MAX_METRICS],
        metrics_left_out=max(0, len(facts["evaluation"]) - _MAX_METRICS),
        stages=facts["stages"],
        sizes=_batch_sizes(facts["stages"]),
        style=(files / "page.css").read_text(encoding="utf-8"),
        charts={name: jinja2.utils.markupsafe.Markup(svg) for name, svg in _charts(facts).items()},
        steps=[
            {
                "technique": step["technique"],
                "parameters": _given(step["parameters"]),
                "bytes": (step["source"]["bytes"], step["result"]["bytes"]),
                "difference": step.get("output_difference"),
                "left_out": list(_left_out(step)),
                "digest": step["result"]["digest"],
                "versions": step["versions"],
            }
            for step in facts["steps"]
        ],
        version=__version__,
    )


def _charts(facts: Mapping[str, Any]) -> dict[str, str]:
    return make_charts(facts) if facts["stages"] else {}


def _batch_sizes(stages: list[dict[str, Any]]) -> list[str]:
    return list(stages[0]["timings"]) if stages else []


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value not in (None, [], {}, "")}


def _left_out(step: Mapping[str, Any]) -> Iterator[str]:
    for key in _LEFT_OUT:
        for name, reason in (step.get(key) or {}).items():
            yield f"{name}: {reason}"
    yield from step.get("notes") or []
