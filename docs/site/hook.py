"""This project's part of the build of its documentation site; mkdocs calls the functions ``on_*``.

The pages are those of ``docs/``, a few from elsewhere in the repository (``OUTSIDE``) and one for each
module. The navigation is the index, ``docs/README.md``. A link in a page leads to the right place on a code
host and in the site alike: one to a page from elsewhere is rewritten here, one to a file that is no page
becomes plain text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generated
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "README.md": "README.md",  # the site's index stands for it
    "cluster/README.md": "clusters.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
"""Pages that lie outside ``docs/``, by their path in the repository, and what they are called in the site."""
SOURCES = {page: source for source, page in OUTSIDE.items() if source != page}
"""The files of these pages."""

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
"""A link of Markdown to another file: its text, the file, and the heading in it."""
STAND_IN = re.compile(r"^<!-- generated: (\w+) -->\n(?:.+\n)*", re.MULTILINE)
"""The place of a generated part: a mark, and the paragraph that stands there on a code host."""
ROLE = re.compile(r":(?:class|func|mod|meth|attr|data):<code>~?([^<]*)</code>")
"""A reference in a docstring, as Sphinx writes it."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes the navigation of the index's headings and links."""
    config.nav = [{"Home": "README.md"}, *navigation((ROOT / "docs/README.md").read_text())]
    return config


def navigation(index: str) -> list[dict[str, Any]]:
    """The sections of the navigation: each heading of the index up to its colon, with the pages linked below.

    Args:
        index: the text of the index. A page that is linked twice stands where it is linked first.
    """
    sections: list[dict[str, Any]] = []
    seen = {"README.md"}
    for part in re.split(r"^## ", index, flags=re.MULTILINE)[1:]:
        pages = []
        for text, target, _ in LINK.findall(part):
            page = site_page(target, "docs/README.md")
            if page and page not in seen:
                pages.append({text: page})
                seen.add(page)
        if pages:
            sections.append({re.split(r"[:\n]", part)[0]: pages})
    return sections


def site_page(target: str, source: str) -> str | None:
    """The page of the site that a link leads to, by its path in the site; None where it is no page.

    Args:
        target: what the link names.
        source: the file that holds the link, by its path in the repository.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if path in OUTSIDE:
        return OUTSIDE[path]
    is_page = path.startswith("docs/") and path.endswith(".md") and (ROOT / path).is_file()
    return path.removeprefix("docs/") if is_page else None


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside ``docs/``, and a page for each module."""
    for source, page in OUTSIDE.items():
        if page not in files.src_uris:
            files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for module in generated.modules():
        text = f"# {module}\n\n[All modules](../api.md#all-modules)\n\n::: {module}\n"
        files.append(File.generated(config, f"api/{module}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fills in what is generated, and makes links lead to pages of the site."""
    if page.file.src_uri.startswith("api/"):
        return markdown
    filled = STAND_IN.sub(lambda mark: generated.PARTS[mark[1]](), markdown)
    return rewritten(filled, SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}"), page.file.src_uri)


def rewritten(markdown: str, source: str, page: str) -> str:
    """A page whose links to files of the repository lead to pages of the site, or are plain text.

    Args:
        markdown: the page.
        source: its path in the repository.
        page: its path in the site.
    """

    def replace(link: re.Match[str]) -> str:
        text, target, heading = link[1], link[2], link[3] or ""
        found = site_page(target, source)
        if found:
            return f"[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{heading})"
        path = ROOT / posixpath.dirname(source) / target
        is_page = path.resolve().is_relative_to(ROOT / "docs")
        return text if path.exists() and not is_page else link[0]

    return "".join(LINK.sub(replace, part) if is_text else part for is_text, part in by_fence(markdown))


def by_fence(markdown: str) -> Iterator[tuple[bool, str]]:
    """The parts of a page between fences of code, and those within, each with whether it is text."""
    for number, part in enumerate(re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)):
        yield number % 2 == 0, part


def on_post_page(output: str, **_: Any) -> str:
    """Gives the theme's search a name, which axe-core misses."""
    search = 'data-md-component="search" role="dialog"'
    return output.replace(search, f'{search} aria-label="Search"')


def on_post_build(config: MkDocsConfig) -> None:
    """Takes out of the theme's scripts what they would load from a network on pages of certain kinds."""
    for script in Path(config.site_dir).rglob("*.js"):
        text = script.read_text()
        if "https://unpkg.com" in text:
            script.write_text(re.sub(r"https://unpkg\.com[^\"]*", "", text))
    for source_map in Path(config.site_dir).rglob("*.map"):
        source_map.unlink()


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Shows references in docstrings as code."""
    return ROLE.sub(r"<code>\1</code>", html) if page.file.src_uri.startswith("api/") else html
