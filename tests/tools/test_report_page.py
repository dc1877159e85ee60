"""The CompressionReport in a browser: complete, silent, alone, and readable."""

import json
import subprocess
from pathlib import Path

import pytest
from support import reports

TOOLS = Path(__file__).resolve().parents[2] / ".tools"
pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What headless Chromium saw, by view: desktop and phone, light and dark."""
    out = tmp_path_factory.mktemp("report")
    page = reports.write(out) / "report.html"
    done = subprocess.run(
        [
            str(TOOLS / "playwright/bin/python"),
            str(Path(__file__).parent / "look_at_page.py"),
            str(page),
            str(out),
            str(TOOLS / "chromium/chromium"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_chart_is_drawn(seen):
    for view in seen.values():
        assert list(view["charts"]) == [f"chart-{name}" for name in reports.CHARTS]
        assert all(min(size) > 100 for size in view["charts"].values())


def test_it_says_nothing_and_asks_for_nothing(seen):
    for view in seen.values():
        assert view["said"] == []
        assert [url for url in view["requested"] if not url.startswith(("file:", "data:"))] == []
        assert len([url for url in view["requested"] if url.startswith("file:")]) == 1


def test_nothing_is_wider_than_the_screen(seen):
    assert seen["phone-light"]["width"] <= 390
    assert seen["desktop-light"]["width"] <= 1280


def test_the_text_of_charts_can_be_read_on_a_phone(seen):
    assert seen["phone-light"]["smallest"] >= 9


def test_dark_is_dark(seen):
    def brightness(color):
        return sum(int(part) for part in color.strip("rgba()").split(",")[:3]) / 3

    assert brightness(seen["desktop-dark"]["background"]) < 60
    assert brightness(seen["desktop-dark"]["ink"]) > 180
    assert brightness(seen["desktop-light"]["background"]) > 200
    assert brightness(seen["desktop-light"]["ink"]) < 90
