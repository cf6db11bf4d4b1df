"""The places of the page that a link can lead to."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analysis.figures.drawing import Drawing
from analysis.tables.table import Table

SECTIONS = {
    "verdict": "Verdict", "comparison": "Comparison", "protocol": "Protocol", "methods": "Methods",
    "validity": "Validity",
}  # fmt: skip
"""Sections that every page has, by their anchor."""


def anchor(name: str, kind: str) -> str:
    """Make the id of a table or figure on the page.

    Args:
        name: of the table or figure.
        kind: ``table`` or ``figure``.
    """
    return f"{kind}-{html_id(name)}"


def html_id(name: str) -> str:
    """Turn a name into an id; different names have different ids, so that none takes another's links."""
    return re.sub(r"[^a-zA-Z0-9-]", lambda found: f"_{ord(found[0]):x}_", name)


def places(tables: Sequence[Table], drawings: Sequence[Drawing]) -> dict[str, str]:
    """The title of every place, by its anchor; the main table stands in a section of its own."""
    found = dict(SECTIONS)
    found |= {anchor(table.name, "table"): table.title for table in tables[1:] if table.panels}
    return found | {anchor(drawing.name, "figure"): drawing.title for drawing in drawings}
