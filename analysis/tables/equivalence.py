"""Equivalence with the reference, as a test against a stated margin."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.equivalence_test import MARGIN, margin_changed
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import contrast_mark, header, run_cautions
from analysis.tables.table import Table, interval_text, p_text, panel_of
from analysis.tables.traced import traced

COLUMNS = ("Difference [90 % CI]", "Margin", "p TOST", "p (Holm)", "Equivalent")
NOTES = (
    "Two one-sided tests (Schuirmann 1987) on the primary metric by the rule behind the verdicts, "
    "Holm-adjusted over the declared arms: equivalent means that a difference of the margin or more is "
    "refuted on both sides at 5 %. That an arm is not shown to be equivalent says neither that it differs "
    "nor that it does not.",
)


def equivalence_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the equivalence tests of every arm against the reference.

    Returns:
        The table, one panel per study with tests; None where no study has any.
    """
    panels, frames, cautions, notes = [], [], [], list(NOTES)
    for item in statistics:
        study, tests = item.study, item.measurement.equivalence
        if tests.empty:
            continue
        rows = []
        for _, row in tests.iterrows():
            cells = [interval_text(row, "difference", sign="+"), f"±{row['margin']:g}"]
            cells += [
                p_text(row["p_tost"]),
                p_text(row["p_holm"]),
                "yes" if row["equivalent"] else "not shown",
            ]
            rows.append((study.labels[row["arm"]] + contrast_mark(study, row["arm"]), cells))
        panels.append((header(study), panel_of(rows, COLUMNS)))
        frames.append(traced(tests, study))
        cautions += run_cautions(study)
        notes.append(f"{study.title}: the margin was {_margin_from(study)}.")
    if not panels:
        return None
    return Table(
        name="equivalence", title="Equivalence with the reference",
        data=pd.concat(frames, ignore_index=True), panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def _margin_from(study: StudyResults) -> str:
    """Where the margin is from, in words."""
    if runs := margin_changed(study):
        return f"changed after {runs} final runs, so that no arm is called equivalent within it"
    if study.info.get("equivalence_margin") is not None:
        return "declared by the study"
    return f"not declared: the default of {MARGIN:g}, a choice"
