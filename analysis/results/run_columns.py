"""The final runs behind the rows of a table of arms, as columns beside them."""

from __future__ import annotations

import pandas as pd

from analysis.results.study import StudyResults


def with_run_counts(data: pd.DataFrame, study: StudyResults, prefix: str = "") -> pd.DataFrame:
    """Add how many final runs of each row's arm failed and how many are missing.

    Args:
        data: a table with the column ``arm``.
        study: the study that the arms are of.
        prefix: put before the names of the new columns.

    Returns:
        The table with ``imputed_runs`` and ``missing_runs``.
    """
    counts = {name: data["arm"].map(study.runs[name]) for name in ("imputed_runs", "missing_runs")}
    return data.assign(**{f"{prefix}{name}": count for name, count in counts.items()})


def run_hashes(study: StudyResults) -> pd.Series[str]:
    """The hashes of the compared final runs of each arm, joined by semicolons and indexed by arm."""
    runs = study.compared[["arm", "run_hash"]].drop_duplicates()
    runs = runs[runs["run_hash"] != ""]  # a run that could not begin has none
    return runs.groupby("arm")["run_hash"].agg(lambda hashes: ";".join(sorted(map(str, hashes))))
