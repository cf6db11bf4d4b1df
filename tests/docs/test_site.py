"""The documentation is a site that is built without a network, and loads nothing from one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("material", reason="needs the extra [docs]")

from learner_ray.cli.main import VERBS
from learner_ray.core.config import all_keys
from tests.docs.typed import ROOT
from tests.once import once, run_folder

pytestmark = pytest.mark.xdist_group("site")  # so that no second worker waits for the build

BUILD = """
import socket
def refuse(*_): raise OSError("the build asks for a network")
socket.socket.connect = socket.getaddrinfo = refuse
from mkdocs.__main__ import cli
cli()
"""
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
"""What each element loads; a link does unless it only names a page, and an anchor never."""
NAMES_A_PAGE = {"canonical", "next", "prev", "alternate"}
PICTURE_BYTES = 150_000


@pytest.fixture(scope="module")
def site(pytestconfig: pytest.Config) -> Path:
    """The site, built strictly: a link that leads nowhere, or to a heading that is not there, is an error."""

    def build(folder: Path) -> None:
        words = ["build", "--strict", "--quiet", "--config-file", str(ROOT / "mkdocs.yml")]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
        command = [sys.executable, "-c", BUILD, *words, "--site-dir", str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return once(run_folder(pytestconfig), "site", build)


class Resources(HTMLParser):
    """Collects what a page loads when it is opened."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag in LOADED:
            self.found.append(has.get(LOADED[tag], ""))
        elif tag == "link" and has.get("rel") not in NAMES_A_PAGE:
            self.found.append(has.get("href", ""))


@pytest.fixture(scope="module")
def loaded(site: Path) -> list[tuple[Path, str]]:
    """What pages and style sheets load, each with its file."""
    found = [(page, each) for page in site.rglob("*.html") for each in Resources(page).found]
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", sheet.read_text())
        found += [(sheet, url or name) for url, name in urls]
    return found


@pytest.mark.slow
def test_nothing_is_loaded_from_a_network(site: Path, loaded: list[tuple[Path, str]]) -> None:
    assert len(loaded) > 1000
    assert [(page.name, each) for page, each in loaded if re.match(r"(\w+:)?//", each)] == []
    scripts = "".join(script.read_text() for script in site.rglob("*.js"))
    hosts = r"//[\w.-]*(unpkg|jsdelivr|cdnjs|googleapis|gstatic|cloudflare|polyfill)[\w.-]*"
    assert not re.search(hosts, scripts)


@pytest.mark.slow
def test_what_is_loaded_is_there(site: Path, loaded: list[tuple[Path, str]]) -> None:
    for page, each in loaded:
        if not each.startswith(("data:", "#")):
            folder = site if each.startswith("/") else page.parent
            assert (folder / each.partition("?")[0].lstrip("/")).exists(), f"{page.name} loads {each}"


@pytest.mark.slow
def test_options_keys_and_modules_are_those_of_the_code(site: Path) -> None:
    options = (site / "options.html").read_text()
    assert [
        verb for verb in VERBS if verb != "plan" and f"learner-ray {verb}</h2>" not in headings(options)
    ] == []
    assert "<code>--factor KEY=LOW,HIGH</code>" in options and "--share" in options
    keys = (site / "configuration.html").read_text()
    assert [key for key in all_keys() if key != "seed" and f"<code>{key}</code>" not in keys] == []
    modules = {page.stem for page in (site / "api").glob("*.html")}
    assert {"learner_ray.experiment", "learner_ray.losses.contrastive", "analysis.report"} <= modules
    assert not re.search(r":(class|func|meth):", (site / "api/learner_ray.study.options.html").read_text())


def headings(page: str) -> str:
    """A page without the anchors within its headings."""
    return re.sub(r"<a [^>]*class=\"headerlink\".*?</a>", "", page)


@pytest.mark.slow
def test_a_page_has_landmarks_a_way_past_them_and_words_for_its_pictures(site: Path) -> None:
    page = (site / "tutorial.html").read_text()
    assert 'class="md-skip"' in page and 'lang="en"' in page and 'role="dialog" aria-label="Search"' in page
    for landmark in ("<header", "<nav", "<main", "<footer"):
        assert landmark in page
    assert re.findall(r"<img(?![^>]*alt=\"[^\"]{20,}\")", page) == []


def test_pictures_are_small() -> None:
    pictures = list((ROOT / "docs/pictures").iterdir())
    assert pictures and all(path.stat().st_size < PICTURE_BYTES for path in pictures)
