"""The table of arms against the reference at equal compute: two views of each scan, or more epochs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.study import StudyResults
from analysis.statistics.compare import tests_against
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import contrast_mark, row_label, run_cautions
from analysis.tables.table import MISSING, Table, interval_text, p_text, panel_of

NOTE = (
    "Each column has a reference of its own, the study's reference given more compute, and p Holm-adjusted "
    "over the arms of that column by the rule of the headline. A loss of two views that is better in the "
    "headline alone may owe that to its compute. These comparisons carry no verdict of their own."
)


def matched_arms(study: StudyResults) -> list[str]:
    """Names of the arms that are the reference but for two views of each scan, or more epochs."""
    of = {arm.name: dict(arm.edits) for arm in study.arms}
    longer = {str(arm.get("name")) for arm in study.info["arms"] if arm.get("epochs_factor", 1) > 1}
    own = of.get(study.reference, {})
    return [
        name
        for name, edits in of.items()
        if name != study.reference
        and ((edits == own and name in longer) or (edits == {**own, "loss.views": 2} and name not in longer))
    ]


def compute_matched(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table each arm's difference with the reference at more compute; None where no study has one."""
    panels, frames, cautions = [], [], []
    for item in statistics:
        data = _contrasts(item)
        if data.empty:
            continue
        cautions += run_cautions(item.study)
        traced = data.assign(study=item.study.key, run_hashes=data["arm"].map(run_hashes(item.study)))
        frames.append(with_run_counts(traced, item.study))
        panels.append((item.study.title, _text(item.study, data)))
    if not frames:
        return None
    notes = ["Differences are arm minus reference with their 95 % interval, on the primary metric.", NOTE]
    return Table(
        name="compute_matched", title="Against the reference at equal compute",
        data=pd.concat(frames, ignore_index=True), panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def _contrasts(item: StudyStatistics) -> pd.DataFrame:
    """One row per arm and matched reference: difference, low, high, and p_holm where it is not withheld."""
    study, matched = item.study, matched_arms(item.study)
    confusions = confusion_counts(study.compared, tuple(item.arms))
    family = tuple(arm for arm in study.family if arm not in matched and arm in confusions.arms)
    frames = []
    for reference in (name for name in matched if family and name in confusions.arms):
        rows = tests_against(confusions, reference=reference, family=family, primary=item.primary_metric)
        shown = ["arm", "metric", "difference", "low", "high", *([] if study.withheld else ["p_holm"])]
        frames.append(rows[shown].assign(matched_reference=reference))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _text(study: StudyResults, data: pd.DataFrame) -> pd.DataFrame:
    references = list(dict.fromkeys(data["matched_reference"]))
    rows = []
    for arm, group in data.groupby("arm", sort=False):
        cells = []
        for reference in references:
            (row,) = (r for _, r in group.iterrows() if r["matched_reference"] == reference)
            cells.append(interval_text(row, "difference", sign="+") + contrast_mark(study, str(arm)))
            cells.append(p_text(row["p_holm"]) if "p_holm" in row else MISSING)
        rows.append((row_label(study, str(arm)), cells))
    columns = [
        f"{name} {study.labels[reference]}" for reference in references for name in ("Minus", "p (Holm):")
    ]
    return panel_of(rows, columns)
