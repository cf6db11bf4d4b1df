"""The embeddings that final runs leave, in ``runs/RUN/embeddings.parquet``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.results.run_files import run_folder
from analysis.results.study import StudyResults


def read_embeddings(study: StudyResults, run_hash: str) -> pd.DataFrame | None:
    """Read the embeddings of a run's test scans.

    Returns:
        Columns patient, visit, scan and embedding (each a vector of one length); None where an older version
        wrote none, the runs lie elsewhere, or the file is damaged. Patients and visits have the names that
        ``scores.parquet`` of the study gives the same scans: an older version wrote others into its runs.
    """
    path = Path(run_folder(study, run_hash)) / "embeddings.parquet"
    if not run_hash or not path.is_file():
        return None
    try:
        table = pd.read_parquet(path, columns=["patient", "visit", "scan", "embedding"])
        np.stack(list(table["embedding"])).astype(np.float64)
    except Exception:  # pyarrow raises several unrelated types on damaged bytes
        return None
    return _named_as_in_scores(table, study.scores, run_hash)


def _named_as_in_scores(table: pd.DataFrame, scores: pd.DataFrame, run_hash: str) -> pd.DataFrame:
    if not {"run_hash", "visit", "scan"} <= {*scores.columns}:
        return table
    own = scores[scores["run_hash"] == run_hash].drop_duplicates("scan")
    own = own.set_index(own["scan"].astype(str).map(_number))[["patient", "visit", "scan"]]
    numbers = table["scan"].astype(str).map(_number)
    if not numbers.isin(own.index).all() or own.index.has_duplicates:
        return table
    names = {name: own[name].reindex(numbers).to_numpy() for name in ("patient", "visit", "scan")}
    return table.assign(**names)


def _number(scan: str) -> str:
    """The place of a scan among those of its run, which ends its name."""
    return scan.rpartition(":")[2]
