"""Net benefit of acting on the predicted probability of "worse", at a few thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.statistics.net_benefit import TREAT_ALL
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import Table, interval_text, panel_of
from analysis.tables.traced import traced

SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Threshold probabilities of the printed table; its CSV has all."""
NOTES = (
    "Net benefit TP/n - FP/n · t/(1 - t) of acting where the probability of worse is at least t, in true "
    "positives per pair (Vickers and Elkin 2006); to act on none has 0. Which t is reasonable is for "
    "clinicians to say before they look. Intervals are made as those of the main table: they hold patients "
    "and training (seeds, folds, repeats), each at one threshold; the CSV also has the differences with the "
    "better of acting on all and on none, and with the earlier score alone.",
)


def net_benefit_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the net benefit of every arm and of acting on all, with 95 % intervals.

    Returns:
        The table, one panel per study with final runs; None where no study has any.
    """
    panels, frames, cautions = [], [], []
    for item in statistics:
        study, found = item.study, item.measurement.net_benefit
        if found.empty:
            continue
        rows = []
        for arm in [*item.arms, TREAT_ALL]:
            own = found[found["arm"] == arm]
            at = [own.iloc[int(np.abs(own["threshold"].to_numpy() - t).argmin())] for t in SHOWN]
            label = "Act on all" if arm == TREAT_ALL else row_label(study, arm)
            rows.append((label, [interval_text(row) for row in at]))
        panels.append((header(study), panel_of(rows, [f"t = {t:g} [95 % CI]" for t in SHOWN])))
        frames.append(traced(found, study))
        cautions += run_cautions(study)
    if not panels:
        return None
    return Table(
        name="net-benefit", title="Net benefit of acting on a predicted worse",
        data=pd.concat(frames, ignore_index=True), panels=panels, notes=list(NOTES), cautions=cautions,
    )  # fmt: skip
