"""One page that loads nothing and shows everything. It is looked at in tests/tools."""

import re
from html.parser import HTMLParser

from support.reports import CHARTS


class Page(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_it_is_small_and_loads_nothing(page):
    assert len(page.encode()) < 500_000
    elements = Page(page).elements
    assert not [tag for tag, _ in elements if tag in ("script", "iframe", "object", "embed")]
    loaded = [
        value
        for _, attributes in elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset")
    ]
    assert all(value.startswith(("#", "data:")) for value in loaded), loaded
    assert not re.search(r"url\(\s*['\"]?(?!#)", page)
    assert "@import" not in page


def test_every_chart_is_there(page):
    figures = [
        attributes["id"].removeprefix("chart-")
        for tag, attributes in Page(page).elements
        if tag == "figure"
    ]
    assert figures == list(CHARTS)
    assert page.count("<svg") == len(CHARTS)


def test_it_says_what_was_asked_and_found(page):
    text = Page(page).text
    assert "Not blessed" in text
    for words in ("max_bytes", "at most 10 bytes", "missed", "min_size_ratio", "met"):
        assert words in text
    assert "baseline" in text
    assert "stripped" in text


def test_the_chain_names_what_was_left_out_and_why(page):
    text = Page(page).text
    assert "scheme=int8" in text
    assert "outputs moved by at most" in text


def test_quality_is_shown_by_slice_with_intervals(page, facts):
    drop = facts["drops"]["<b>group</b>=odd"]
    assert f"{drop['value']:.4g} [{drop['low']:.4g}, {drop['high']:.4g}]" in Page(page).text


def test_what_the_evaluator_found_is_shown(page):
    assert "a=1accuracy0.8–" in re.sub(r"\s", "", Page(page).text)


def test_names_from_data_are_text_and_not_markup(page):
    assert "<b>group</b>" not in page
    assert "&lt;b&gt;group&lt;/b&gt;" in page


def test_lineage_and_machine_are_named(page, facts):
    for stage in facts["stages"]:
        assert stage["digest"] in page
    assert facts["machine"]["cpu"] in Page(page).text


def test_it_follows_light_and_dark_and_the_width_of_a_phone(page):
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
