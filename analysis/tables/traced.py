"""Rows of a table with the study and the final runs behind them."""

from __future__ import annotations

import pandas as pd

from analysis.results.run_columns import run_hashes, with_run_counts
from analysis.results.study import StudyResults


def traced(rows: pd.DataFrame, study: StudyResults) -> pd.DataFrame:
    """Add the study's key and, to rows of an arm, the hashes of its final runs and how many failed."""
    hashes = rows["arm"].map(run_hashes(study)).fillna("")
    return with_run_counts(rows.assign(study=study.key, run_hashes=hashes), study)
