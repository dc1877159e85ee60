"""The table of benchmarks/results/table.json, as README, docs/benchmarks.md and its chart show it.

.venv/bin/python benchmarks/table_pages.py [FILE]   # makes them anew, of FILE if given
"""

import json
import re
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pygal

from tfx_shrink.measure.interval import mean_interval, wilson_interval

PROJECT = Path(__file__).resolve().parent.parent
RESULT = PROJECT / "benchmarks" / "results" / "table.json"
README, PAGE = PROJECT / "README.md", PROJECT / "docs" / "benchmarks.md"
CHART = PROJECT / "docs" / "benchmarks.svg"
# What README shows of it, between these lines.
SHOWN, BEGIN, END = "digits CNN", "<!-- made by `make benchmark` -->", "<!-- end -->"
# The others stand in docs/benchmarks.md.
_HEADLINES = (
    *("float32", "dynamic_range", "int8", "strip", "weight_int8"),
    *("prune 80 %", "prune half the channels", "distill"),
    *("prune 80 % → int8", "distill → int8", "distill → prune 50 % → int8"),
    *("others: TFLite's converter, int8", "others: ai-edge-quantizer, int8"),
    *("others: TFX's rewriter", "others: TFMOT, 80 %", "others: Keras's distillation loop"),
)
_BATCHES = ("1", "32")

Line = Mapping[str, Any]


def quality(seeds: list[Line]) -> tuple[float, float, float] | None:
    """Returns accuracy with its 95 % interval: over the seeds, or of the rows of the only one."""
    if seeds[0]["right"] is None:
        return None
    shares = [seed["right"] / seed["rows"] for seed in seeds]
    if len(shares) == 1:
        return (shares[0], *wilson_interval(seeds[0]["right"], seeds[0]["rows"]))
    low, high = mean_interval(np.array(shares))
    return statistics.mean(shares), max(0.0, low), min(1.0, high)


def readme_table(table: Mapping[str, Any]) -> str:
    """Returns what README shows: one model's sizes, accuracies and speeds."""
    lines = _lines_of(table, SHOWN)
    (base,) = (line["seeds"][0]["gzip"] for line in lines if line["recipe"] == "strip")
    rows = [
        f"| {SHOWN} | bytes | gzip | smaller | accuracy | times as fast, 1 row | 32 rows |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for line in lines:
        if line["recipe"] not in _HEADLINES:
            continue
        if line["refused"]:
            rows.append(_refused(line, 6))
            continue
        first = line["seeds"][0]
        rows.append(
            _row(
                line,
                f"{first['bytes']:,}",
                f"{first['gzip']:,}",
                f"{base / first['gzip']:.1f} ×",
                _accuracy(line["seeds"], ".1%"),
                *(_speedup(line, size) for size in _BATCHES),
            )
        )
    command = "make benchmark QUICK=1" if table["quick"] else "make benchmark"
    return "\n".join([*rows, "", f"`{command}`: {_made_on(table)}"])


def markdown(table: Mapping[str, Any]) -> str:
    """Returns one whole table for each model, and that of the pushes."""
    models = dict.fromkeys(line["model"] for line in table["lines"])
    tables = [f"## {model}\n\n{_model_table(_lines_of(table, model))}" for model in models]
    if table.get("pushes"):
        tables.append(f"## Pushes\n\n{_push_table(table['pushes'])}")
    return "\n\n".join([*tables, _made_on(table)])


def page(table: Mapping[str, Any]) -> str:
    """Returns docs/benchmarks.md."""
    return f"""# Benchmarks

{_made_by(table)}

- **bytes**, **gzip**: of the files that are served, without and with gzip; of the first seed.
- **accuracy**: on rows that no model was trained on; the mean over the seeds, with its 95 %
  interval.
- **ms**: median and 95th percentile of single calls on one thread, of the first seed. SavedModels
  run in the C++ session that TensorFlow Serving uses, TFLite files in the interpreter, both of
  TensorFlow's package: TensorFlow Serving itself was not there.
- **times as fast**: against `strip` for SavedModels and `float32` for TFLite, interleaved in one
  process, with the 95 % interval; **floor** is how far two copies of one file differed meanwhile.
- **load**: seconds and memory of loading it in a process of its own, beside one other.
- **made in**: seconds and peak memory of making it, beside one other such process.

![Accuracy against bytes after gzip](benchmarks.svg)

{markdown(table)}
"""


def _made_by(table: Mapping[str, Any]) -> str:
    if table["quick"]:
        return """`make benchmark QUICK=1` made this page, from one seed. `make benchmark` measures
every recipe on four models, ours and what a user would write without tfx-shrink
(`benchmarks/peers`)."""
    return """`make benchmark` made this page: every recipe on four models, ours and what a user
would write without tfx-shrink (`benchmarks/peers`). `make benchmark QUICK=1` makes a smaller one in
minutes."""


def with_table(readme: str, table: Mapping[str, Any]) -> str:
    """Returns README with the table in its place."""
    before, rest = readme.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{readme_table(table)}\n{END}{after}"


def chart(table: Mapping[str, Any]) -> str:
    """Returns accuracy against bytes after gzip, a series for each model, as SVG."""
    drawn = pygal.XY(
        title="Accuracy against bytes after gzip",
        stroke=False,
        js=[],
        x_title="kilobytes after gzip",
        y_title="accuracy",
        legend_at_bottom=True,
    )
    for model in dict.fromkeys(line["model"] for line in table["lines"]):
        dots = []
        for line in _lines_of(table, model):
            if line["refused"]:
                continue
            if found := quality(line["seeds"]):
                kilobytes = line["seeds"][0]["gzip"] / 1000
                dots.append({"value": (kilobytes, found[0]), "label": line["recipe"]})
        if dots:
            drawn.add(model, dots)
    drawn.uuid = "accuracy-against-bytes"
    # The day and the versions say nothing that the picture shows.
    return re.sub(r"<!--Generated with .*?-->", "", drawn.render(is_unicode=True), count=1)


def write_pages(table: Mapping[str, Any]) -> None:
    """Writes README's table, docs/benchmarks.md and its chart."""
    README.write_text(with_table(README.read_text(), table))
    PAGE.write_text(page(table))
    CHART.write_text(chart(table))


def _lines_of(table: Mapping[str, Any], model: str) -> list[Line]:
    return [line for line in table["lines"] if line["model"] == model]


def _model_table(lines: list[Line]) -> str:
    columns = (
        *("recipe", "bytes", "gzip", "accuracy [95 %]"),
        *(f"{what} {size}" for size in _BATCHES for what in ("ms at", "times as fast at")),
        *("floor", "load", "made in"),
    )
    rows = [_cells(columns), "|---" * len(columns) + "|"]
    for line in lines:
        if line["refused"]:
            rows.append(_refused(line, len(columns) - 1))
            continue
        first = line["seeds"][0]
        rows.append(
            _row(
                line,
                f"{first['bytes']:,}",
                f"{first['gzip']:,}",
                _accuracy(line["seeds"], ".4f"),
                *(cell for size in _BATCHES for cell in (_ms(line, size), _whole(line, size))),
                _floor(line),
                _cost(line["loading"]),
                _cost(first),
            )
        )
    return "\n".join(rows)


def _push_table(pushes: Mapping[str, Any]) -> str:
    names = {
        "ours": "BucketPusher's push",
        "staged": "the same, as to `gs://`",
        "boto3": "others: boto3 and sha256",
        "stock": "others: the stock Pusher's copy",
    }
    rows = [
        "| 513 MB, 207 files, 30 ms a request | seconds | against ours | MB |",
        "|---|--:|--:|--:|",
    ]
    for name, text in names.items():
        seconds = pushes["seconds"][name]
        ratio = seconds / pushes["seconds"]["ours"]
        rows.append(
            _cells((text, f"{seconds:.1f}", f"{ratio:.2f}", f"{pushes['megabytes'][name]:.0f}"))
        )
    return "\n".join([*rows, "", f"Floor, ours against ours: {abs(pushes['floor'] - 1):.0%}."])


def _made_on(table: Mapping[str, Any]) -> str:
    machine, floors = table["machine"], list(_floors(table["lines"]))
    seeds = max(len(line["seeds"]) for line in table["lines"])
    return (
        f"{seeds} seed{'s' if seeds > 1 else ''}; times on one thread of {machine['cpu']}, "
        f"where two copies of one file differed by at most {max(floors):.0%}."
    )


def _floors(lines: list[Line]) -> Iterator[float]:
    for line in lines:
        for timing in line["times"].values():
            if timing["speedup"]:
                yield timing["speedup"]["floor"]


def _accuracy(seeds: list[Line], form: str) -> str:
    found = quality(seeds)
    if not found:
        return "random weights"
    middle, low, high = (format(value, form) for value in found)
    return f"{middle} [{low}, {high}]"


def _ms(line: Line, size: str) -> str:
    timing = line["times"][size]
    return f"{timing['p50']:.3g}, {timing['p95']:.3g}"


def _speedup(line: Line, size: str) -> str:
    speedup = line["times"][size]["speedup"]
    return f"{speedup['value']:.2f}" if speedup else "1"


def _whole(line: Line, size: str) -> str:
    speedup = line["times"][size]["speedup"]
    if not speedup:
        return "1"
    return f"{speedup['value']:.2f} [{speedup['low']:.2f}, {speedup['high']:.2f}]"


def _floor(line: Line) -> str:
    floors = list(_floors([line]))
    return f"{max(floors):.1%}" if floors else "–"


def _cost(spent: Line) -> str:
    return f"{spent['seconds']:.2g} s, {spent['peak_bytes'] / 1e6:,.0f} MB"


def _refused(line: Line, columns: int) -> str:
    return f"| {line['recipe']} | refused: {line['refused']} |" + " |" * (columns - 1)


def _row(line: Line, *cells: str) -> str:
    return _cells((line["recipe"], *cells))


def _cells(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    for file in sys.argv[1:]:
        RESULT.write_bytes(Path(file).read_bytes())
    write_pages(json.loads(RESULT.read_text()))
