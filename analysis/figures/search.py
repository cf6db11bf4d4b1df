"""Figures of the searches: the best selection score by trials spent, and by epoch."""

from __future__ import annotations

import matplotlib
import pandas as pd

from analysis.figures.drawing import PALETTE, STYLE, Drawing, canvas
from analysis.results.names import file_name
from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.run_files import read_progress
from analysis.statistics.search import SEARCH, selected_trials
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import row_label, run_cautions


def budget(statistics: StudyStatistics) -> Drawing | None:
    """Draw the best selection score so far against the number of trials.

    Returns:
        One curve per arm, the median over folds with the middle half; None where no trial has a score.
    """
    trials = statistics.study.trials
    if trials.empty or trials["selection_score"].notna().sum() == 0:
        return None
    ordered = trials.sort_values([*SEARCH, "trial"])
    best = ordered.assign(best=ordered.groupby(SEARCH)["selection_score"].cummax())
    best["best"] = best.groupby(SEARCH)["best"].ffill()
    curves = _quartiles(best.assign(number=best.groupby(SEARCH).cumcount() + 1), "number", "best")
    text = (
        "Best selection score found so far, on validation patients, against the number of trials; median "
        "over folds with the middle half shaded. A validation score is not a result."
    )
    y = "best selection score so far"
    return _curves(statistics, curves, name="budget", title="Budget", x="trials", y=y, text=text)


def learning(statistics: StudyStatistics) -> Drawing | None:
    """Draw the selection score of the selected trials by epoch.

    Returns:
        One curve per arm, the median over folds with the middle half; None where no progress.jsonl is there.
    """
    study = statistics.study
    table = pd.DataFrame(
        [
            {"arm": trial["arm"], **epoch}
            for _, trial in selected_trials(study).iterrows()
            for epoch in read_progress(study, str(trial["run_hash"]))
        ]
    )
    if table.empty:
        return None
    curves = _quartiles(table.dropna(subset=["selection_score"]), "epoch", "selection_score")
    text = (
        "Selection score by epoch of each fold's selected trial, on validation patients, median over folds "
        "with the middle half shaded."
    )
    y = "selection score"
    return _curves(statistics, curves, name="learning", title="Learning curves", x="epoch", y=y, text=text)


def _quartiles(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Median and quartiles of y per arm and x, with the number of folds behind them."""
    grouped = table.groupby(["arm", x], sort=False)[y]
    parts = {"low": grouped.quantile(0.25), "median": grouped.median(), "high": grouped.quantile(0.75)}
    return pd.DataFrame({**parts, "folds": grouped.count()}).reset_index().rename(columns={x: "x"})


def _curves(
    statistics: StudyStatistics, curves: pd.DataFrame, *, name: str, title: str, x: str, y: str, text: str
) -> Drawing:
    study = statistics.study
    with matplotlib.rc_context(STYLE):
        figure = canvas(7, 3.4)
        axis = figure.subplots()
        arms = [arm for arm in study.ordered_arms if (curves["arm"] == arm).any()]
        for number, arm in enumerate(arms):
            own = curves[curves["arm"] == arm]
            colour, dashes = (
                PALETTE[number % len(PALETTE)],
                ("-", "--", ":", "-.")[number // len(PALETTE) % 4],
            )
            axis.plot(
                own["x"], own["median"], dashes, color=colour, linewidth=1.6, label=row_label(study, arm)
            )
            if len(arms) <= len(PALETTE):
                axis.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        figure.legend(loc="outside right upper", fontsize=8)
    hashes = curves["arm"].map(run_hashes(study)) if len(study.compared) else ""
    data = with_run_counts(curves.assign(run_hashes=hashes), study)
    return Drawing(
        name=file_name(f"{name}-{study.key}"),
        title=f"{title}, {study.title}",
        description=" ".join([text, *run_cautions(study)]),
        figure=figure,
        data=data,
    )
