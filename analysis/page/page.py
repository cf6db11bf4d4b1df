"""One HTML page with tables and figures inside it; it loads nothing from anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

from analysis.figures.drawing import FAINT, INK, Drawing
from analysis.page.check import Check
from analysis.page.checklist.checklists import Checklist, checklists
from analysis.page.checklist.record import ReportedStudy
from analysis.page.headline import headline
from analysis.page.incremental import incremental_sentences
from analysis.page.measurement import measurement_sentences
from analysis.page.methods_text.section import Methods, methods
from analysis.page.places import anchor, html_id, places
from analysis.page.sentences import verdict_sentences
from analysis.page.subgroups import subgroup_sentences
from analysis.page.validity import checks
from analysis.results.explanations import explained_pairs
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.external import external_sentences
from analysis.tables.protocol import protocol_lines
from analysis.tables.table import Table

LARGEST = 1.35
"""How much larger than drawn a figure may stand on the page: beyond that its letters dwarf the text."""
_WIDTH = re.compile(r'width="([\d.]+)pt"')
_IDENTIFIERS = re.compile(r'(\bid="|url\(#|href="#)')


def inline_svg(drawing: Drawing) -> Markup:
    """Return a figure as SVG to stand in a page: in the page's colours, with ids of its own, named and
    described for screen readers.
    """
    svg = drawing.svg
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = html_id(drawing.name)  # so that no figure takes another's gradients
    svg = _IDENTIFIERS.sub(rf"\g<1>{prefix}-", svg)
    svg = svg.replace(INK, "var(--ink)").replace(FAINT, "var(--faint)")
    widest = round(LARGEST * float(_WIDTH.search(svg)[1]))  # type: ignore[index]
    label = Markup('<svg role="img" aria-labelledby="{0}-name {0}-text" style="max-width:{1}pt" ').format(
        prefix, widest
    )
    named = Markup('<title id="{0}-name">{1}</title><desc id="{0}-text">{2}</desc>').format(
        prefix, drawing.title, drawing.spoken or drawing.description
    )
    opening = svg.index(">", svg.index("<svg"))
    return label + Markup(svg[4 : opening + 1]) + named + Markup(svg[opening + 1 :])


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a report shows, ready to be written."""

    statistics: Sequence[StudyStatistics]
    """One per study, in the order they are shown."""
    tables: Sequence[Table]
    """The main table first."""
    drawings: Sequence[Drawing]
    """The forest plot first, where there is one."""
    shows_scans: bool = True
    """Whether pictures of scans are shown, where ``learner-ray explain`` left some."""

    @cached_property
    def checks(self) -> list[list[Check]]:
        """The validity checks of each study."""
        return [checks(item) for item in self.statistics]

    @cached_property
    def methods(self) -> list[Methods]:
        """The parts of the Methods section: one per study, and the analysis of all."""
        return methods(self.statistics)

    @cached_property
    def places(self) -> dict[str, str]:
        """The title of every place that a link can lead to, by its anchor."""
        return places(self.tables, self.drawings)

    @cached_property
    def checklists(self) -> list[Checklist]:
        """The reporting checklists, which look for all else that the report has."""
        *own, common = [part.text for part in self.methods]
        records = [
            ReportedStudy(
                statistics=item, tables=self.tables, places=self.places, checks=made,
                methods=f"{text}\n{common}",
            )
            for item, made, text in zip(self.statistics, self.checks, own, strict=True)
        ]  # fmt: skip
        return checklists(records)


def _intervals(value: object) -> Markup:
    """A cell whose bracketed interval stands on a line of its own, with the mark that follows it."""
    two = r' <span class="ci">\1\3</span>'
    return Markup(re.sub(r" (\[[^\]]*\])(, )?( †)?", two, str(escape(str(value)))))


def html(report: Report) -> str:
    """Return the whole page: verdicts first, then the main table and the forest plot, then the rest."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"intervals": _intervals, "anchor": anchor}
    environment.tests["sortable"] = _sortable
    figures = [(drawing, inline_svg(drawing)) for drawing in report.drawings]
    arms = [f for f in figures if f[0].name == "arms"]
    forest = [f for f in figures if f[0].name == "forest"]
    flows = [f for f in figures if f[0].name.startswith("flow-")]
    return environment.get_template("page.html").render(
        studies=[
            {
                "study": item.study,
                "headline": headline(item),
                "verdicts": [
                    *incremental_sentences(item),
                    *verdict_sentences(item),
                    *external_sentences(item),
                ],
                "protocol": protocol_lines(item),
                "measurement": measurement_sentences(item),
                "subgroups": subgroup_sentences(item),
                "checks": made,
                "explained": explained_pairs(item.study) if report.shows_scans else [],
            }
            for item, made in zip(report.statistics, report.checks, strict=True)
        ],
        methods=report.methods,
        checklists=report.checklists,
        places=report.places,
        main_table=report.tables[0],
        tables=report.tables[1:],
        arms=arms,
        forest=forest,
        flows=flows,
        figures=[f for f in figures if f not in [*arms, *forest, *flows]],
        style=_beside("page.css"),
        script=_beside("page.js"),
    )


def _beside(name: str) -> Markup:
    """The content of a file of this folder, to stand in the page as it is."""
    return Markup((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _sortable(panel: pd.DataFrame) -> bool:
    """Whether rows can stand in another order: none leaves a cell to be read from the row above it."""
    return len(panel) > 1 and not (panel == "").any(axis=None)


def write_page(report: Report, out: Path) -> Path:
    """Write the page to OUT/index.html and return its path.

    Raises:
        OSError: it cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / "index.html"
    path.write_text(html(report), encoding="utf-8")
    return path
