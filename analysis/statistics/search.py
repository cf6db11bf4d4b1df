"""What the searches cost, which trials they selected, and how far their promise was from the test.

The *selection score* is what a search maximises on inner patients: minus the log-loss in nats, or a
metric that comes with the report. Higher is better.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.endpoints import PROGRESSION
from analysis.results.study import StudyResults
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import METRICS
from analysis.statistics.proper_scores import pair_scores

SEARCH = ["arm", "repeat", "fold"]
"""What tells the searches of one study apart."""
STATES = ("complete", "stopped", "failed", "diverged")
"""How a trial can end."""
LOG_LOSS = "log_loss"


def trial_summary(study: StudyResults) -> pd.DataFrame:
    """Count each arm's trials by how they ended, and sum up their cost.

    Returns:
        Indexed by arm: ``trials``; one column per state; ``device_hours`` (NaN where not recorded); ``best``,
        the median over folds of the best selection score; ``run_hashes``, joined by semicolons.
    """
    trials = study.trials
    states = pd.crosstab(trials["arm"], trials["state"]).reindex(columns=list(STATES), fill_value=0)
    grouped = trials.groupby("arm")
    seconds = (
        grouped["device_seconds"].sum() if "device_seconds" in trials else pd.Series(np.nan, states.index)
    )
    # Of a fold without any score there is no best, and a median of the others would be one of survivors.
    best = trials.groupby(SEARCH)["selection_score"].max()
    table = states.assign(
        device_hours=seconds / 3600,
        best=best.groupby("arm").agg(lambda scores: scores.median(skipna=False)),
        run_hashes=grouped["run_hash"].agg(lambda hashes: ";".join(map(str, hashes))),
    )
    table.insert(0, "trials", grouped.size())
    return table.reindex([arm for arm in study.ordered_arms if arm in table.index])


def selected_trials(study: StudyResults) -> pd.DataFrame:
    """The best complete trial of every search, one row per arm, repeat and fold."""
    known = study.trials[study.trials["state"] == "complete"].dropna(subset=["selection_score"])
    return known.loc[known.groupby(SEARCH)["selection_score"].idxmax()] if len(known) else known


def selection_gaps(study: StudyResults) -> pd.DataFrame:
    """Compare the selection score of every selected trial with the same under other seeds and on the test.

    Returns:
        One row per arm, repeat and fold: ``validation`` (the selected trial's selection score), ``again``
        (the same configuration under other seeds, averaged; NaN where not evaluated again), ``test`` (the
        same score of the final runs, averaged over seeds), ``luck`` (validation - again), ``optimism``
        (validation - test), ``run_hashes``. Empty where nothing was selected or tested, or where it is not
        known what the search maximised.
    """
    best = selected_trials(study)
    metric = _selection_metric(study)
    if best.empty or study.compared.empty or not metric:
        return pd.DataFrame()
    test = _test_scores(study.compared, metric).groupby(SEARCH)["test"].mean().reset_index()
    keys = dict.fromkeys(("repeat", "fold"), np.int64)
    audits = study.audits.astype({**keys, "selection_score": np.float64})
    again = audits.groupby(SEARCH)["selection_score"].mean().rename("again").reset_index()
    table = best[[*SEARCH, "run_hash", "selection_score"]].astype(keys).merge(test, on=SEARCH)
    table = table.merge(again, on=SEARCH, how="left")
    table = table.rename(columns={"selection_score": "validation", "run_hash": "run_hashes"})
    return table.assign(
        luck=table["validation"] - table["again"], optimism=table["validation"] - table["test"]
    )


def _selection_metric(study: StudyResults) -> str:
    """The metric that the search maximised, by our name for it; empty where it is not known."""
    metric = "qwk" if study.selection_metric == "kappa" else study.selection_metric
    if study.endpoint != PROGRESSION and metric == "macro_f1":  # ours is of three classes
        return ""
    known = METRICS.built_in.get(metric)  # of one's own that is named like an error nobody knows the sign
    return metric if metric == LOG_LOSS or (known is not None and known.higher_is_better) else ""


def _test_scores(ledger: pd.DataFrame, metric: str) -> pd.DataFrame:
    """What the search maximised, on the test pairs of every final run: arm, repeat, fold, seed, ``test``."""
    keys = [*SEARCH, "seed"]
    if metric == LOG_LOSS:
        scores = ledger[keys].assign(test=-pair_scores(ledger)["nll"])
        return scores.groupby(keys)["test"].mean().reset_index()
    confusions = confusion_counts(ledger)
    values = np.where(confusions.ran, METRICS[metric].compute(confusions.by_fold), np.nan)
    rows = [
        {"arm": arm, "repeat": repeat, "seed": seed, "fold": fold, "test": value}
        for arm, rounds in zip(confusions.arms, values, strict=True)
        for (repeat, seed), folds in zip(confusions.rounds, rounds, strict=True)
        for fold, value in zip(sorted(ledger["fold"].unique()), folds, strict=True)
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=[*keys, "test"])


def in_all_arms(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Keep the folds that every arm of a table has, so that all its rows are of the same patients.

    Args:
        table: columns arm, repeat and fold.

    Returns:
        The rows kept, and how many folds were left out.
    """
    if table.empty:
        return table, 0
    of_fold = table.groupby(["repeat", "fold"])["arm"]
    kept = table[of_fold.transform("nunique") == table["arm"].nunique()]
    return kept, of_fold.ngroups - kept.groupby(["repeat", "fold"]).ngroups
