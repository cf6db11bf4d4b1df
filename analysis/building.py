"""From the studies of some results folders to all tables and figures, and to files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from analysis import figures, headline, many, search
from analysis.analysed import Analysed, analyse
from analysis.bootstrap import DRAWS
from analysis.drawing import Drawing, save
from analysis.factorial import factorial_table
from analysis.freshness import write_sources
from analysis.importance import importance
from analysis.load import Study
from analysis.page import Report, write_page
from analysis.render import write_table
from analysis.table import Table


def build(studies: Sequence[Study], draws: int | None = None, rank: bool = False) -> Report:
    """Analyse and draw; nothing is written.

    Args:
        studies: as ``load`` gives them.
        draws: of the bootstrap; None for 10,000.
        rank: also rank hyperparameters by importance.
    """
    draws = DRAWS if draws is None else draws
    analysed = [analyse(study, draws) for study in studies]
    drawings = figures_of(analysed)
    ranked = [importance(item.study) for item in analysed] if rank else []
    drawings += [drawing for drawing in ranked if drawing is not None]
    return Report(analysed=analysed, tables=tables_of(analysed), drawings=drawings)


def tables_of(analysed: Sequence[Analysed]) -> list[Table]:
    """Every table that the studies have data for, the headline first."""
    found = [
        headline.headline(analysed),
        many.across(analysed),
        headline.all_metrics(analysed),
        headline.test_details(analysed),
        many.tuned_and_fixed(analysed),
        factorial_table(analysed),
        search.search_summary(analysed),
        search.overtuning(analysed),
    ]
    return [table for table in found if table is not None]


def figures_of(analysed: Sequence[Analysed]) -> list[Drawing]:
    """Every figure that the studies have data for, the forest plot first."""
    found = [figures.forest(analysed)]
    for item in analysed:
        if len(item.study.compared):
            found += [figures.confusion(item), figures.distance(item), figures.calibration(item)]
        found += [search.budget(item), search.learning(item)]
    return [drawing for drawing in found if drawing is not None]


def write(report: Report, out: Path) -> None:
    """Write OUT/index.html, tables, figures, and what they were made from."""
    for table in report.tables:
        write_table(table, out / "tables")
    for drawing in report.drawings:
        save(drawing, out / "figures")
    write_page(report, out)
    write_sources([item.study for item in report.analysed], out)
