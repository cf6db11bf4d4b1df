"""One HTML page with tables and figures inside it; it loads nothing from anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from analysis.analysed import Analysed
from analysis.drawing import FAINT, INK, STYLE, Drawing
from analysis.table import Table

_IDENTIFIERS = re.compile(r'(\bid="|url\(#|href="#)')


def inline_svg(drawing: Drawing) -> Markup:
    """The figure as SVG to stand in a page: themed ink, ids of its own, named and described for screen
    readers.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": drawing.name}):
        drawing.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"\W", "-", drawing.name)
    svg = _IDENTIFIERS.sub(rf"\g<1>{prefix}-", svg)
    svg = svg.replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    label = Markup('<svg role="img" aria-labelledby="{0}-name {0}-text" ').format(prefix)
    named = Markup('<title id="{0}-name">{1}</title><desc id="{0}-text">{2}</desc>').format(
        prefix, drawing.title, drawing.description
    )
    opening = svg.index(">", svg.index("<svg"))
    return label + Markup(svg[4 : opening + 1]) + named + Markup(svg[opening + 1 :])


def write_page(
    analysed: Sequence[Analysed], tables: Sequence[Table], drawings: Sequence[Drawing], out: Path
) -> Path:
    """Write OUT/index.html."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    html = environment.get_template("page.html").render(
        analysed=analysed, tables=tables, figures=[(d, inline_svg(d)) for d in drawings]
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "index.html"
    path.write_text(html, encoding="utf-8")
    return path
