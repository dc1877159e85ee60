"""README and docs/benchmarks.md show what benchmarks/results/table.json holds."""

import importlib
import json
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
REMEDY = "run `.venv/bin/python benchmarks/table_pages.py`"


@pytest.fixture
def pages(monkeypatch):
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    return importlib.import_module("table_pages")


@pytest.fixture
def table(pages):
    return json.loads(pages.RESULT.read_text())


def test_the_table_of_readme_is_that_of_the_committed_result(pages, table):
    readme = pages.README.read_text()
    assert pages.with_table(readme, table) == readme, REMEDY


def test_the_page_is_that_of_the_committed_result(pages, table):
    assert pages.PAGE.read_text() == pages.page(table), REMEDY


def test_the_chart_is_that_of_the_committed_result(pages, table):
    assert pages.CHART.read_text() == pages.chart(table), REMEDY


def test_a_changed_figure_is_seen(pages, table):
    table["lines"][0]["seeds"][0]["bytes"] += 1
    assert pages.PAGE.read_text() != pages.page(table)
    assert pages.with_table(pages.README.read_text(), table) != pages.README.read_text()
