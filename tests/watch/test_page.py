"""The page loads nothing, can be read without seeing it, and says what is no result."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from learner_ray.watch.look import StudyWatch
from learner_ray.watch.page import policy, render, render_parts
from tests.watch.watched_study import watched_study


@pytest.fixture
def watch(tmp_path: Path) -> StudyWatch:
    watched_study(tmp_path / "lus", 20)
    return StudyWatch(tmp_path / "lus", "results/lus")


class Tags(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


@pytest.mark.parametrize("refresh_s", [None, 5.0])
def test_the_page_is_whole_and_its_policy_allows_its_own_style_and_script_alone(
    watch: StudyWatch, refresh_s: float | None
) -> None:
    page = render(watch.look(), refresh_s=refresh_s)
    assert not re.search(r"https?://|\bsrc=|url\(|@import|\son\w+=|\sstyle=", page)
    parts = re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)
    assert len(parts) == (1 if refresh_s is None else 2)
    for part in parts:
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy(live=refresh_s is not None)
    assert "unsafe" not in policy(live=True)


def test_every_bar_and_picture_has_a_name_and_every_table_a_caption(watch: StudyWatch) -> None:
    page = render(watch.look(), refresh_s=None)
    tags = Tags(page)
    assert tags.of("progress") and all(bar.get("aria-label") for bar in tags.of("progress"))
    assert tags.of("svg") and all(picture.get("aria-label") for picture in tags.of("svg"))
    assert page.count("<caption>") == len(tags.of("table")) > 0
    assert all(cell.get("scope") in ("col", "row") for cell in tags.of("th"))
    names = [attributes["id"] for _, attributes in tags.found if "id" in attributes]
    assert len(names) == len(set(names))


def test_only_the_headline_is_read_out_when_it_changes(watch: StudyWatch) -> None:
    live = [
        attributes["id"]
        for _, attributes in Tags(render(watch.look(), refresh_s=5.0)).found
        if "aria-live" in attributes
    ]
    assert live == ["headline"]


def test_the_best_so_far_is_marked_as_no_result_and_a_phantom_as_one(watch: StudyWatch) -> None:
    parts = render_parts(watch.look())
    assert "The best so far is no result" in parts and "no test patient was looked at" in parts
    assert "phantom cohort" in parts


def test_names_of_arms_are_text_and_no_markup(tmp_path: Path) -> None:
    watched_study(tmp_path / "lus", 20)
    log = tmp_path / "lus" / "runs.jsonl"
    log.write_text(log.read_text().replace("contrastive/", "<script>1</script>/"))
    page = render(StudyWatch(tmp_path / "lus", "lus").look(), refresh_s=None)
    assert "<script>" not in page and "&lt;script&gt;" in page
