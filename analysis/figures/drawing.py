"""The style of all figures, and how they are saved: SVG and PDF, with their data as CSV."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.tables.spreadsheet import csv

INK, FAINT = "#1a1c1f", "#8a8f98"
"""Text and lines; the page replaces both by its theme's colours."""
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6BBE", "#7F7F7F")
"""Okabe and Ito's colours, which can be distinguished with any colour vision; black and yellow are left out
for the dark page."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "pdf.fonttype": 42, "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": FAINT, "axes.labelcolor": INK,
    "axes.titlesize": 10, "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
    "legend.frameon": False, "text.parse_math": False,  # a dollar in a name is a dollar
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure, what it shows in words, and the numbers behind it."""

    name: str
    title: str
    description: str
    """Stands above the picture: what is drawn and how to read it."""
    figure: Figure
    data: pd.DataFrame
    """The numbers behind the picture, with the runs they come from."""
    of_single_patients: bool = False
    """Whether one can read off what became of a single patient: such a picture is not handed out."""
    spoken: str = ""
    """The numbers that a screen reader says in place of the picture, where they are few."""

    @cached_property
    def svg(self) -> str:
        """The picture as SVG; equal data give equal text."""
        buffer = io.StringIO()
        with matplotlib.rc_context({**STYLE, "svg.hashsalt": self.name}):
            self.figure.savefig(
                buffer, format="svg", transparent=True, metadata={"Date": None, "Title": self.title}
            )
        # The layout is settled now. With any engine left, even "none", every other format is drawn twice.
        self.figure.set_layout_engine(None)
        return buffer.getvalue()


def canvas(width: float, height: float) -> Figure:
    """Make an empty figure in the report's style.

    Args:
        width: in inches.
        height: in inches.
    """
    with matplotlib.rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def draw_interval(axis: Axes, y: float, ends: Sequence[float], middle: float, colour: str) -> None:
    """Draw an interval as a line at a height, and its middle as a dot."""
    axis.plot(ends, [y, y], color=colour, linewidth=1.8, solid_capstyle="butt")
    axis.plot(middle, y, "o", color=colour, markersize=5)


def write_beside(axis: Axes, y: float, text: str) -> None:
    """Write a text to the right of an axis, at a height."""
    axis.text(1.02, y, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8, color=INK)


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """Name the rows of an axis from the top down, at the heights 0, 1, 2 and so on, without a line for the
    axis."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def save(drawing: Drawing, folder: Path) -> None:
    """Write a figure as NAME.svg and NAME.pdf and its data as NAME.csv.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{drawing.name}.svg").write_text(drawing.svg, encoding="utf-8")
    with matplotlib.rc_context(STYLE):
        metadata = {"CreationDate": None, "Title": drawing.title}
        drawing.figure.savefig(folder / f"{drawing.name}.pdf", metadata=metadata)
    (folder / f"{drawing.name}.csv").write_text(csv(drawing.data), encoding="utf-8")
