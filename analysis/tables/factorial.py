"""Table of the factorial effects of crossed arms."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.statistics.factorial import factorial_effects
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import FAILED, run_cautions
from analysis.tables.table import Table, interval_text, p_text, panel_of


def factorial_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the factorial effects of the studies whose arms are crossed; None where no study's are."""
    whole = [item for item in statistics if len(item.study.ledger) and not item.study.withheld]
    frames = [(item, factorial_effects(item)) for item in whole]
    frames = [(item, frame) for item, frame in frames if len(frame)]
    if not frames:
        return None
    panels = []
    for item, frame in frames:
        name = item.primary_metric.heading
        shown = [
            (
                f"{row['effect']} {FAILED}" if row["imputed_runs"] else str(row["effect"]),
                [interval_text(row, "difference", sign="+"), p_text(row["p"])],
            )
            for _, row in frame.iterrows()
        ]
        panels.append(
            (item.study.title, panel_of(shown, [f"Effect on {name} [95 % CI]", "p (not adjusted)"]))
        )
    notes = ["Exploratory: main effects and two-way interactions of crossed arms; p is not adjusted."]
    if not all(frame["effect"].str.contains(" x ").any() for _, frame in frames):
        notes.append(
            "Half fraction: each main effect is mixed with the interaction of the other factors, and no "
            "interaction can be estimated."
        )
    data = pd.concat([frame for _, frame in frames], ignore_index=True)
    cautions = [caution for item, _ in frames for caution in run_cautions(item.study)]
    return Table(
        name="factorial", title="Factorial effects", data=data, panels=panels, notes=notes, cautions=cautions
    )
