"""Calibration intercept and slope of each arm's probabilities, by class."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.endpoints import PROGRESSION
from analysis.statistics.recalibration import FEWEST_EVENTS
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import NONE, Table, interval_text, panel_of
from analysis.tables.traced import traced

NOTES = (
    "Logistic recalibration, one class against the rest (Cox 1958; Van Calster et al. 2019). Intercept "
    "with the slope fixed at 1: 0 is right, below 0 the class is predicted too often. Slope: 1 is right, "
    "below 1 probabilities are too extreme, above 1 too moderate.",
    "Models differ between final runs, so the slope is one within runs: each run has an intercept of its "
    "own. The intercept is one for all runs. Intervals are made as those of the main table: they hold "
    "patients and training (seeds, folds, repeats). A dash: "
    f"fewer than {FEWEST_EVENTS} pairs in the class or out of it, equal probabilities within every run, no "
    "finite fit, or an arm with failed final runs.",
)


def calibration_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table calibration intercept and slope per arm and class, with their 95 % intervals.

    Returns:
        The table, one panel per study with final runs; None where no study has any.
    """
    panels, frames, cautions = [], [], []
    for item in statistics:
        study, found = item.study, item.measurement.calibration
        if study.compared.empty:
            continue
        # Of two classes both have the same slope, and intercepts of opposite signs.
        classes = study.classes if study.endpoint == PROGRESSION else study.classes[:1]
        columns = [f"{what} {name} [95 % CI]" for name in classes for what in ("Intercept", "Slope")]
        rows = []
        for arm in item.arms:
            own = found[found["arm"] == arm] if len(found) else found
            by_class = {row["class"]: row for _, row in own.iterrows()}
            cells = [
                interval_text(by_class[name], what, f"{what}_") if name in by_class else NONE
                for name in classes
                for what in ("intercept", "slope")
            ]
            rows.append((row_label(study, arm), cells))
        panels.append((header(study), panel_of(rows, columns)))
        cautions += run_cautions(study)
        if len(found):
            frames.append(traced(found, study))
    if not panels:
        return None
    return Table(
        name="calibration", title="Calibration of the class probabilities",
        data=pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(), panels=panels,
        notes=list(NOTES), cautions=cautions,
    )  # fmt: skip
