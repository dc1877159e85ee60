"""A dashboard's queries as one picture, where there is no Grafana."""

import math

from PIL import Image, ImageDraw

_WIDTH, _HEIGHT, _COLUMNS, _EDGE = 460, 210, 3, 12
_COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#17becf")


def draw(panels, path):
    """Draws [(title, [series as Prometheus answers a range query])] into a PNG."""
    rows = -(-len(panels) // _COLUMNS)
    image = Image.new("RGB", (_WIDTH * _COLUMNS, _HEIGHT * rows), "white")
    for number, (title, series) in enumerate(panels):
        left, top = number % _COLUMNS * _WIDTH, number // _COLUMNS * _HEIGHT
        _panel(ImageDraw.Draw(image), left, top, title, series)
    image.save(path)


def _panel(draw, left, top, title, series):
    points = [
        [(float(when), float(value)) for when, value in one["values"] if _is_number(value)]
        for one in series
    ]
    flat = [point for line in points for point in line]
    start, end = min(when for when, _ in flat), max(when for when, _ in flat)
    highest = max(value for _, value in flat) or 1.0
    bottom, width = top + _HEIGHT - _EDGE, _WIDTH - 2 * _EDGE
    height = _HEIGHT - 4 * _EDGE
    draw.rectangle((left + _EDGE, bottom - height, left + _EDGE + width, bottom), outline="#ccc")
    draw.text((left + _EDGE, top + 4), f"{title}  ({len(series)} series)", fill="black")
    draw.text((left + _EDGE + 4, bottom - height + 2), f"{highest:.4g}", fill="#666")
    for number, line in enumerate(points):
        xy = [
            (
                left + _EDGE + width * (when - start) / ((end - start) or 1),
                bottom - height * 0.95 * value / highest,
            )
            for when, value in line
        ]
        color = _COLORS[number % len(_COLORS)]
        if len(xy) > 1:
            draw.line(xy, fill=color, width=2)
        elif xy:
            draw.point(xy, fill=color)


def _is_number(value):
    return math.isfinite(float(value))
