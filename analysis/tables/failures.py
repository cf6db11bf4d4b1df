"""Sentences on the runs that failed or diverged, and why: listed, never dropped."""

from __future__ import annotations

import pandas as pd

from analysis.results.paths import exception_without_words
from analysis.results.study import StudyResults

MOST_CHARACTERS = 160
"""Length at which a reason is cut off; a traceback is shown by its first line."""


def failed_trials(study: StudyResults) -> list[str]:
    """Count the trials that failed or diverged, one sentence per arm, state and reason."""
    return _sentences(study, study.trials, "trial")


def failed_finals(study: StudyResults) -> list[str]:
    """Count the final runs that failed or diverged, one sentence per arm, state and reason.

    An older version wrote no finals.parquet; then the ledger tells which failed, without a reason.
    """
    if study.finals.empty:
        failed = study.ledger[study.ledger["imputed"]].drop_duplicates(["arm", "repeat", "fold", "seed"])
        return _sentences(study, failed.assign(state="failed"), "final run")
    return _sentences(study, study.finals, "final run")


def _sentences(study: StudyResults, runs: pd.DataFrame, what: str) -> list[str]:
    if runs.empty:
        return []
    bad = runs[runs["state"].isin(["failed", "diverged"])]
    reason = (bad["error"] if "error" in bad else pd.Series("", index=bad.index)).fillna("").astype(str)
    reason = reason.str.split("\n").str[0].map(exception_without_words).str.slice(0, MOST_CHARACTERS)
    reason = reason.replace("", "no reason recorded")
    counted = bad.assign(reason=reason).groupby(["arm", "state", "reason"]).size().reset_index(name="n")
    return [
        f"{row['n']} {what}{'s' if row['n'] > 1 else ''} of {study.labels.get(row['arm'], row['arm'])} "
        f"{row['state']}: {row['reason']}."
        for _, row in counted.iterrows()
    ]
