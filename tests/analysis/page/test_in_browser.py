"""The page in a browser: people who see, hear or type it find the same, and tables can be sorted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from analysis.building import build
from analysis.page.page import write_page
from analysis.results.load import load
from tests.analysis.make_results import make_results
from tests.browser import DARK, SERIOUS, needs_chromium, shown, violations

pytestmark = [pytest.mark.slow, needs_chromium, pytest.mark.xdist_group("browser")]
CLICKS = """
const table = document.querySelector("table.numbers"), said = [];
const head = table.querySelector("thead th");
for (let click = 0; click < 4; click++) {
  if (click) head.querySelector("button").click();
  const values = [...table.tBodies[0].rows].map((row) => row.cells[1].firstChild.textContent.trim());
  said.push([head.ariaSort, ...values].join());
}
document.title = said.join(";");
"""
"""Clicks three times on the head of the main table's first column: the primary metric."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    return write_page(build(load([make_results(folder / "lus")]).studies, draws=100), folder / "report")


@pytest.mark.long
def test_axe_finds_nothing_serious_and_would_find_a_picture_without_a_name(
    page: Path, tmp_path: Path
) -> None:
    for options in (("--window-size=1440,900",), ("--window-size=390,800", DARK)):
        assert not [found for found in violations(page, *options) if found[0] in SERIOUS]
    broken = tmp_path / "broken.html"
    broken.write_text(page.read_text().replace("</main>", '<img src="data:,"></main>'))
    assert "image-alt" in {rule for _, rule, _ in violations(broken)}


def test_a_click_sorts_a_table_another_turns_it_round_and_a_third_restores_it(page: Path) -> None:
    title = re.search("<title>(.*?)</title>", shown(page, CLICKS))
    assert title
    written, *clicked = (step.split(",") for step in title[1].split(";"))
    states, orders = zip(*((state, values) for state, *values in clicked), strict=True)
    values = written[1:]
    assert len(values) == 4 and states == ("ascending", "descending", "none")
    rising = sorted(values, key=lambda value: float(value.split()[0]))
    assert values not in (rising, rising[::-1]), "the order in which it was written is another"
    assert list(orders) == [rising, rising[::-1], values]
