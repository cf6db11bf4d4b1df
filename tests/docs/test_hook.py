"""The navigation is the index, and links lead to the right place on a code host and in the site."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

pytest.importorskip("material", reason="needs the extra [docs]")

from tests.docs.typed import ROOT


@pytest.fixture(scope="module")
def hook() -> Iterator[Any]:
    """The module that mkdocs loads by its path."""
    sys.path.insert(0, str(ROOT / "docs/site"))
    yield import_module("hook")
    sys.path.remove(str(ROOT / "docs/site"))


def test_a_page_is_where_the_index_links_it_first(hook: Any) -> None:
    index = (
        "# I\n\n[a](manifest.md)\n\n## How-to: do\n\n- [Cl](../cluster/README.md): x, [b](manifest.md#a)\n\n"
    )
    index += "## Reference\n- [c](manifest.md)\n- [d](https://x.org)\n- [e](losses.md)\n"
    found = hook.navigation(index)
    assert found == [
        {"How-to": [{"Cl": "clusters.md"}, {"b": "manifest.md"}]},
        {"Reference": [{"e": "losses.md"}]},
    ]


def test_the_log_stands_apart(hook: Any) -> None:
    sections = hook.navigation((ROOT / "docs/README.md").read_text())
    names = [name for section in sections for name in section]
    assert names == ["Tutorial", "How-to", "Reference", "Explanation", "Results", "Project"]
    assert {"Log": "log.md"} in sections[-1]["Project"]


@pytest.mark.parametrize(
    ("source", "page", "link", "leads"),
    [
        ("docs/a.md", "a.md", "[x](../cluster/README.md#aws)", "[x](clusters.md#aws)"),
        ("cluster/README.md", "clusters.md", "[x](../docs/designs.md)", "[x](designs.md)"),
        ("CONTRIBUTING.md", "contributing.md", "[x](docs/losses.md)", "[x](losses.md)"),
        ("docs/a.md", "a.md", "[x](../README.md)", "[x](README.md)"),
        ("docs/a.md", "a.md", "[`x`](../benchmarks/gpu.py)", "`x`"),
        ("docs/a.md", "a.md", "[x](https://arxiv.org)", "[x](https://arxiv.org)"),
        ("docs/a.md", "a.md", "```\n[x](../README.md)\n```", "```\n[x](../README.md)\n```"),
        ("docs/a.md", "a.md", "![x](pictures/report.png)", "![x](pictures/report.png)"),
        ("docs/a.md", "a.md", "[x](nowhere.md)", "[x](nowhere.md)"),
    ],
)
def test_links_are_rewritten(hook: Any, source: str, page: str, link: str, leads: str) -> None:
    assert hook.rewritten(link, source, page) == leads


PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "cluster" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_written_so_that_code_hosts_and_the_site_see_the_same(hook: Any, page: Any) -> None:
    text = "".join(part for is_text, part in hook.by_fence(page.read_text()) if is_text)
    glued = re.findall(r"^(?!- |1\. | {1,3}\S|#)(.*\S.*\n(?:- |1\. ).*)", text, re.MULTILINE)
    assert glued == [], "the site needs an empty line before a list"
    assert re.findall(r"^ {1,3}(?:```|- |1\. ).*", text, re.MULTILINE) == [], "indent by four within a list"
