"""The figure of single patients: their score at each visit, and what the arms predicted of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from analysis.figures.drawing import FAINT, INK, PALETTE, STYLE, Drawing, canvas
from analysis.results.names import file_name
from analysis.results.patient_numbers import patient_numbers
from analysis.results.run_columns import with_run_counts
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header

PATIENTS = 12
"""Patients that are drawn."""
COLUMNS = 4
COLUMNS_NEEDED = {"arm", "patient", "visit", "score", "predicted", "run_hash"}
ARMS = 3
"""Arms that are drawn: the reference and those declared next. Nobody could distinguish more lines."""


def trajectories(statistics: StudyStatistics) -> Drawing | None:
    """Draw the true and the predicted score of the patients with the most visits.

    The choice rests on the number of visits and, among equals, on the patient's number: never on how well a
    patient was predicted.

    Returns:
        The small multiples, one per patient; None where no patient has two visits with predicted scores.
    """
    study = statistics.study
    if not {*study.compared_scores.columns} >= COLUMNS_NEEDED:
        return None  # no scans are scored, or an older version did it
    data = _visits(statistics)
    chosen = _chosen(data)
    if not chosen:
        return None
    data = data[data["patient"].isin(chosen)]
    arms = list(dict.fromkeys(data["arm"]))
    score = study.cohort.get("score") or {}
    rows = math.ceil(len(chosen) / COLUMNS)
    with matplotlib.rc_context(STYLE):
        figure = canvas(9.6, 1.7 * rows + 0.9)
        axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True).ravel()
        for axis, patient in zip(axes, chosen, strict=False):
            _panel(axis, data[data["patient"] == patient], arms)
            axis.set_title(f"patient {patient}", fontsize=8)
        for axis in axes[len(chosen) :]:
            axis.set_axis_off()
        unit = f" ({score['unit']})" if score.get("unit") else ""
        figure.supylabel(f"{score.get('name', 'score')}{unit}", fontsize=9)
        for axis in axes[max(0, len(chosen) - COLUMNS) : len(chosen)]:
            axis.set_xlabel("visit")
        figure.suptitle(header(study), fontsize=8, color=FAINT)
        names = ["true score", *(f"predicted, {study.labels.get(arm, arm)}" for arm in arms)]
        figure.legend(axes[0].get_lines(), names, loc="outside lower center", ncols=2, fontsize=8)
    return Drawing(
        name=file_name(f"trajectories-{study.key}"),
        title=f"Scores of single patients, {study.title}",
        description=f"True score at each visit, and the one predicted by final runs that had not seen the "
        f"patient (mean over a visit's scans and the runs), of the {len(chosen)} patients with the most "
        "visits; among equals those with the lowest numbers. They illustrate: no verdict rests on them.",
        figure=figure,
        of_single_patients=True,
        data=with_run_counts(data, study),
    )


def _visits(statistics: StudyStatistics) -> pd.DataFrame:
    """The mean true and predicted score of every visit and drawn arm: arm, patient (number), visit, score,
    predicted, run_hashes; by patient and visit."""
    study, scores = statistics.study, statistics.study.compared_scores
    shown = [arm for arm in study.ordered_arms if arm in set(scores["arm"])]
    first = [study.reference] if study.reference in shown else []
    arms = [*first, *(arm for arm in shown if arm not in first)][:ARMS]
    own = scores[scores["arm"].isin(arms) & scores["predicted"].notna()]
    numbers = patient_numbers(study)  # patients without a pair have none
    own = own[own["patient"].map(str).isin(numbers)]
    own = own.assign(patient=own["patient"].map(str).map(numbers))
    if own["visit"].astype(str).str.isdigit().all():
        own = own.assign(visit=own["visit"].astype(int))  # ranks are written as text: 10 comes after 9
    found = own.groupby(["arm", "patient", "visit"], as_index=False).agg(
        score=("score", "mean"), predicted=("predicted", "mean"),
        run_hashes=("run_hash", lambda hashes: ";".join(sorted(set(hashes)))),
    )  # fmt: skip
    found["arm"] = pd.Categorical(found["arm"], arms)
    found = found.sort_values(["arm", "patient", "visit"])
    # Earlier versions named visits as the manifest does, by dates too: a report shows ranks.
    return found.assign(
        arm=found["arm"].astype(str), visit=found.groupby("patient")["visit"].rank("dense").astype(int)
    )


def _chosen(data: pd.DataFrame) -> list[int]:
    """The numbers of the patients that are drawn."""
    visits = data.groupby("patient")["visit"].nunique()
    visits = visits[visits > 1]
    return sorted(visits.index, key=lambda patient: (-visits[patient], patient))[:PATIENTS]


def _panel(axis: Axes, rows: pd.DataFrame, arms: Sequence[str]) -> None:
    """One patient."""
    true = rows.drop_duplicates("visit").sort_values("visit")
    axis.plot(true["visit"], true["score"], "o-", color=INK, linewidth=1.6, markersize=3.5)
    for arm, colour in zip(arms, PALETTE, strict=False):
        own = rows[rows["arm"] == arm]
        axis.plot(own["visit"], own["predicted"], "o--", color=colour, linewidth=1.1, markersize=2.5)
    axis.set_xticks(true["visit"])
