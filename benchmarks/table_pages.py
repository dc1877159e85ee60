"""The table as Markdown, and as a chart."""

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np
import pygal

from tfx_shrink.measure.interval import mean_interval, wilson_interval


def quality(seeds: list[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    """Returns accuracy with its 95 % interval: over the seeds, or of the rows of the only one."""
    if seeds[0].get("right") is None:
        return None
    shares = [seed["right"].count("1") / len(seed["right"]) for seed in seeds]
    if len(shares) == 1:
        rows = len(seeds[0]["right"])
        return (shares[0], *wilson_interval(seeds[0]["right"].count("1"), rows))
    low, high = mean_interval(np.array(shares))
    return statistics.mean(shares), max(0.0, low), min(1.0, high)


def markdown(table: Mapping[str, Any]) -> str:
    """Returns one table for each model."""
    return "\n".join(
        _model_table(model, [line for line in table["lines"] if line["model"] == model])
        for model in dict.fromkeys(line["model"] for line in table["lines"])
    )


def _model_table(model: str, lines: list[Mapping[str, Any]]) -> str:
    head = (
        f"| {model} | bytes | gzip | accuracy [95 %] | p50 at 1, ms | p50 at 32, ms | floor "
        "| seconds to make | MB to make |"
    )
    rows = [head, "|---" * 9 + "|"]
    for line in lines:
        first = line["seeds"][0]
        if "refused" in first:
            rows.append(f"| {line['recipe']} | refused: {first['refused']} |" + " |" * 7)
            continue
        found = quality(line["seeds"])
        times = {int(size): timing for size, timing in line["times"].items()}
        floors = [timing["speedup"]["floor"] for timing in times.values() if timing["speedup"]]
        cells = [
            line["recipe"],
            f"{first['bytes']:,}",
            f"{first['gzip']:,}",
            f"{found[0]:.4f} [{found[1]:.4f}, {found[2]:.4f}]" if found else "random weights",
            *(f"{times[size]['p50']:.3g}" if size in times else "–" for size in (1, 32)),
            f"{max(floors):.1%}" if floors else "–",
            f"{first['seconds']:.1f}",
            f"{first['peak_bytes'] / 1e6:,.0f}",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([*rows, ""])


def chart(table: Mapping[str, Any]) -> str:
    """Returns accuracy against bytes after gzip, a series for each model, as SVG."""
    drawn = pygal.XY(
        title="Accuracy against bytes after gzip",
        stroke=False,
        js=[],
        logarithmic=False,
        x_title="kilobytes after gzip",
        y_title="accuracy",
        legend_at_bottom=True,
    )
    for model in dict.fromkeys(line["model"] for line in table["lines"]):
        dots = []
        for line in table["lines"]:
            if line["model"] != model or "refused" in line["seeds"][0]:
                continue
            found = quality(line["seeds"])
            if found:
                dots.append(
                    {"value": (line["seeds"][0]["gzip"] / 1000, found[0]), "label": line["recipe"]}
                )
        if dots:
            drawn.add(model, dots)
    return drawn.render(is_unicode=True)
