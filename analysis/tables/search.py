"""Tables of the searches: cost, how trials ended, and how far the promise was from the test."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.results.run_columns import with_run_counts
from analysis.statistics.search import in_all_arms, selection_gaps, trial_summary
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import row_label, run_cautions
from analysis.tables.failures import failed_trials
from analysis.tables.table import Table, plain_number

_HEADINGS = {"device_hours": "Device-hours", "best": "Best selection score (median over folds)"}
_GAPS = {
    "validation": "Best validation", "again": "Validation, other seed", "luck": "Luck",
    "test": "Test, seeds averaged", "optimism": "Optimism",
}  # fmt: skip


def search_summary(statistics: Sequence[StudyStatistics]) -> Table:
    """Table each arm's trials by how they ended, with device-hours and every reason of a failure."""
    panels, frames, notes, cautions = [], [], [], []
    for item in statistics:
        study = item.study
        if study.trials.empty:
            continue
        cautions += run_cautions(study)
        data = trial_summary(study)
        frames.append(with_run_counts(data.reset_index().assign(study=study.key), study))
        marked = {arm: row_label(study, arm) for arm in study.labels}
        shown = data.drop(columns="run_hashes").astype(object).rename(index=marked)
        shown["device_hours"] = [f"{hours:.2f}" for hours in data["device_hours"]]
        shown["best"] = [plain_number(best) for best in data["best"]]
        shown.columns = [_HEADINGS.get(str(name), str(name).capitalize()) for name in shown.columns]
        panels.append((study.title, shown))
        notes += [f"{study.title}: {line}" for line in failed_trials(study)]
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return Table(
        name="search", title="Search: trials and cost per arm", data=data, panels=panels, notes=notes,
        cautions=cautions,
    )  # fmt: skip


def overtuning(statistics: Sequence[StudyStatistics]) -> Table:
    """Table per arm the best trial's validation score, the same under another seed, and the test score.

    From the first to the second column is what choosing the best of many trials on few patients promised too
    much (winner's curse); from the second to the third, what inner and outer patients differ in and what more
    training patients give.
    """
    panels, frames, notes, cautions = [], [], [], []
    for item in statistics:
        data, left = in_all_arms(selection_gaps(item.study))
        if data.empty:
            continue
        cautions += run_cautions(item.study)
        if left:
            notes.append(
                f"{item.study.title}: {left} folds are left out, where some arm's search selected no trial."
            )
        frames.append(with_run_counts(data.assign(study=item.study.key), item.study))
        by_arm = data.groupby("arm", sort=False)
        means, spread = by_arm[list(_GAPS)].mean(), by_arm["optimism"].std()
        arms = [arm for arm in item.study.ordered_arms if arm in means.index]
        columns = {_GAPS[name]: [plain_number(v) for v in means[name].reindex(arms)] for name in _GAPS}
        columns["SD over folds"] = [plain_number(v) for v in spread.reindex(arms)]
        shown = pd.DataFrame(columns, index=[row_label(item.study, arm) for arm in arms])
        panels.append((item.study.title, shown))
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    notes += [
        "Scores are selection scores, what the search maximised (minus the log-loss in nats, or the metric "
        "that study.json names): higher is better. A best trial's validation score is not a result: it is "
        "the luckiest of many. Luck is what it loses under another seed on the same patients, optimism what "
        "it loses on the test patients."
    ]
    title = "What the search promised and what the test gave"
    return Table(
        name="overtuning", title=title, data=data, panels=panels, notes=notes if panels else [],
        cautions=cautions,
    )  # fmt: skip
