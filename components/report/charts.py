"""The report's charts, as self-contained SVG."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pygal
from pygal.style import Style

Facts = Mapping[str, Any]

_WIDTH, _BAR_HEIGHT, _HEIGHT = 480, 26, 300
_MAX_LAYERS = 12
_MAX_SLICES = 20
_NAME_LENGTH = 22

# The page's own colors, which follow the reader's choice of light or dark.
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="var(--ink)",
    foreground_strong="var(--ink)",
    foreground_subtle="var(--faint)",
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    colors=tuple(f"var(--color-{number})" for number in range(6)),
    value_colors=("var(--ink)",) * 6,
    ci_colors=("var(--ink)",) * 6,
    opacity="0.9",
    font_family="system-ui, sans-serif",
    label_font_size=12,
    major_label_font_size=12,
    value_font_size=11,
    legend_font_size=12,
    title_font_size=14,
)


def make_charts(facts: Facts) -> dict[str, str]:
    """Draws everything that was measured.

    Args:
      facts: The report's JSON.

    Returns:
      SVG elements by what they show; what was not measured has none.
    """
    charts = {
        "bytes": _bytes_by_type(facts),
        "quality": _quality_against_bytes(facts),
        **dict(_latency(facts)),
        "layers": _layers(facts),
        "sparsity": _sparsity(facts),
        "difference": _difference(facts),
        "slices": _slices(facts),
    }
    return {name: chart for name, chart in charts.items() if chart}


def _bytes_by_type(facts: Facts) -> str:
    """Stacked bars: each stage's weights by type, and the rest of its files."""
    stages = facts["stages"][::-1]  # The first bar is drawn lowest.
    types = _types(stage["weights"] for stage in stages)
    chart = _bars(len(stages), stacked=True, title="Bytes by type", unit=_bytes)
    chart.x_labels = [stage["name"] for stage in stages]
    for dtype in types:
        chart.add(dtype, [_sum(stage["weights"], dtype) or None for stage in stages])
    rest = [
        max(0, stage["size"]["raw"] - sum(weight["bytes"] for weight in stage["weights"]))
        for stage in stages
    ]
    chart.add("graph, tables, other", [value or None for value in rest])
    return _render(chart)


def _layers(facts: Facts) -> str:
    """Stacked bars: the model's largest weights by type."""
    weights = facts["stages"][-1]["weights"][:_MAX_LAYERS][::-1]
    if not weights:
        return ""
    chart = _bars(len(weights), stacked=True, title="Bytes by layer of the model", unit=_bytes)
    chart.x_labels = [_short(weight["name"]) for weight in weights]
    for dtype in _types([weights]):
        chart.add(
            dtype,
            [weight["bytes"] if weight["dtype"] == dtype else None for weight in weights],
        )
    return _render(chart)


def _sparsity(facts: Facts) -> str:
    weights = [weight for weight in facts["stages"][-1]["weights"] if weight["rank"] > 1]
    weights = weights[:_MAX_LAYERS][::-1]
    if not weights:
        return ""
    chart = _bars(len(weights), title="Share of zeros by layer of the model", unit=_percent)
    chart.range = (0, 1)
    chart.show_legend = False
    chart.x_labels = [_short(weight["name"]) for weight in weights]
    chart.add("zeros", [weight["zeros"] / max(1, weight["elements"]) for weight in weights])
    return _render(chart)


def _quality_against_bytes(facts: Facts) -> str:
    """Dots with intervals: what quality which size has."""
    stages = [
        stage
        for stage in facts["stages"]
        if stage["quality"] and stage["quality"][""]["low"] is not None
    ]
    if not stages:
        return ""
    chart = pygal.XY(
        _config("Quality against bytes, with 95 % intervals", _HEIGHT),
        x_value_formatter=_bytes,
        value_formatter=lambda value: f"{value:.4g}",
        x_title="bytes of the files",
        y_title=facts["settings"]["metric"],
        truncate_legend=-1,
    )
    for stage in stages:
        quality, size = stage["quality"][""], stage["size"]["raw"]
        # A line of three dots: the library draws intervals of bars only.
        chart.add(
            stage["name"],
            [
                {"value": (size, quality["low"]), "node": {"r": 2}},
                {"value": (size, quality["value"]), "node": {"r": 5}},
                {"value": (size, quality["high"]), "node": {"r": 2}},
            ],
        )
    return _render(chart)


def _latency(facts: Facts) -> Iterator[tuple[str, str]]:
    stages = [stage for stage in facts["stages"][::-1] if stage["timings"]]
    for size in stages[0]["timings"] if stages else []:
        chart = _bars(
            len(stages) * 2, title=f"Milliseconds of a call, batch size {size}", unit=_milliseconds
        )
        chart.x_labels = [stage["name"] for stage in stages]
        for percentile in ("p50", "p95"):
            chart.add(percentile, [stage["timings"][size][percentile] for stage in stages])
        yield f"latency-{size}", _render(chart)


def _difference(facts: Facts) -> str:
    histogram = facts["histogram"]
    if histogram is None:
        return ""
    edges, counts = histogram["edges"], histogram["counts"]
    chart = pygal.Bar(
        _config("Differences of the outputs from the baseline's", _HEIGHT),
        show_legend=False,
        print_values=False,
        x_label_rotation=45,
        x_title="absolute difference",
        y_title="outputs",
        show_minor_x_labels=False,
        value_formatter=lambda value: f"{value:,.0f}",
    )
    chart.x_labels = [f"{edge:.2g}" for edge in edges[:-1]]
    chart.x_labels_major = [f"{edge:.2g}" for edge in edges[:-1:5]]
    chart.add("outputs", counts)
    return _render(chart)


def _slices(facts: Facts) -> str:
    """Bars with intervals: the model's and the baseline's quality by slice."""
    stages = [facts["stages"][0], facts["stages"][-1]]
    names = [
        name
        for name in stages[-1]["quality"]
        if name and all(stage["quality"][name]["low"] is not None for stage in stages)
    ][:_MAX_SLICES]
    if not names:
        return ""
    chart = _bars(
        len(names) * 2,
        title="Quality by slice, with 95 % intervals",
        unit=lambda value: f"{value:.3g}",
    )
    chart.x_labels = [_short(name) for name in names]
    chart.range = (0, max(stage["quality"][name]["high"] for stage in stages for name in names))
    for stage in stages:
        chart.add(
            stage["name"],
            [
                {
                    "value": stage["quality"][name]["value"],
                    "ci": {key: stage["quality"][name][key] for key in ("low", "high")},
                }
                for name in names
            ],
        )
    return _render(chart)


def _bars(
    count: int, *, title: str, unit: Callable[[float], str], stacked: bool = False
) -> pygal.graph.graph.Graph:
    kind = pygal.HorizontalStackedBar if stacked else pygal.HorizontalBar
    return kind(
        _config(title, 140 + _BAR_HEIGHT * count),
        value_formatter=unit,
        print_values=not stacked,
        print_values_position="top",
    )


def _config(title: str, height: int) -> pygal.Config:
    return pygal.Config(
        title=title,
        width=_WIDTH,
        height=height,
        style=_STYLE,
        js=[],
        legend_at_bottom=True,
        legend_at_bottom_columns=3,
        legend_box_size=10,
        margin=10,
        margin_bottom=34,
        max_scale=6,
        spacing=6,
        no_data_text="nothing was measured",
        disable_xml_declaration=True,
        show_y_guides=True,
        truncate_label=_NAME_LENGTH,
        truncate_legend=_NAME_LENGTH,
    )


def _render(chart: Any) -> str:
    chart.add_xml_filter(_without_scripts)
    return chart.render(is_unicode=True)


def _without_scripts(svg: Any) -> Any:
    for parent in list(svg.iter()):
        for child in list(parent):
            if str(child.tag).rpartition("}")[2] == "script":
                parent.remove(child)
    return svg


def _types(groups: Any) -> list[str]:
    return sorted({weight["dtype"] for weights in groups for weight in weights})


def _sum(weights: list[dict[str, Any]], dtype: str) -> int:
    return sum(weight["bytes"] for weight in weights if weight["dtype"] == dtype)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else "…" + name[1 - _NAME_LENGTH :]


def _bytes(value: float) -> str:
    for unit in ("B", "kB", "MB"):
        if abs(value) < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _milliseconds(value: float) -> str:
    return f"{value:.3g} ms"
