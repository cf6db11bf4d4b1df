"""``make docs``: the pages of this folder, and one page per module from its docstrings, as HTML.

    python docs/build.py build/docs

Nothing is loaded from the network, neither here nor by the pages.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import markdown2
import pdoc.render

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "cluster/README.md")
"""Pages that lie outside this folder; links between all of them are kept."""
PACKAGES = ("learner_ray", "search_spaces", "analysis", "cluster")

HTML = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width">
<style>body{{max-width:50rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 sans-serif}}
pre{{overflow:auto;background:#f5f5f5;padding:.7rem}}
td,th{{vertical-align:top;text-align:left;padding:.2rem .6rem}}
</style><p><a href="{up}docs/README.html">Documentation</a> · <a href="{up}README.html">README</a> ·
<a href="{up}api/learner_ray.html">API</a></p>{body}</html>
"""


def main(out: Path) -> None:
    """Writes all pages below a folder, with ``index.html`` as the first one."""
    for page in (*PAGES, *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))):
        write_page(ROOT / page, out / Path(page).with_suffix(".html"), "../" * page.count("/"))
    (out / "index.html").write_text('<meta http-equiv="refresh" content="0; url=docs/README.html">')
    pdoc.render.configure(docformat="google", show_source=False)
    with warnings.catch_warnings():
        # Types that are imported for type checkers alone stand on the page as text.
        warnings.filterwarnings("ignore", module=r"pdoc\.")
        pdoc.pdoc(*modules(), output_directory=out / "api")
    print(f"{out / 'index.html'}")


def modules() -> list[str]:
    """All public modules by name: a package with ``__all__`` would hide those below it."""
    files = (
        path.relative_to(ROOT).with_suffix("") for name in PACKAGES for path in (ROOT / name).rglob("*.py")
    )
    names = {".".join(file.parts).removesuffix(".__init__") for file in files}
    return sorted(name for name in names if "._" not in name)


def write_page(source: Path, target: Path, up: str) -> None:
    """Renders a Markdown page; its links to other pages lead to their HTML.

    Args:
        source: the page.
        target: the file to write.
        up: the way from the page to the top, such as ``../``.
    """
    text = source.read_text()
    body = markdown2.markdown(text, extras=["tables", "fenced-code-blocks", "header-ids"])
    body = re.sub(r'href="(?!https?:)([^"#]+)\.md(#[^"]*)?"', r'href="\1.html\2"', body)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(HTML.format(title=text.partition("\n")[0].lstrip("# "), body=body, up=up))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
