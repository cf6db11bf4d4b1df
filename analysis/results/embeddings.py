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
        wrote none, the runs lie elsewhere, or the file is damaged.
    """
    path = Path(run_folder(study, run_hash)) / "embeddings.parquet"
    if not run_hash or not path.is_file():
        return None
    try:
        table = pd.read_parquet(path, columns=["patient", "visit", "scan", "embedding"])
        np.stack(list(table["embedding"])).astype(np.float64)
    except Exception:  # pyarrow raises several unrelated types on damaged bytes
        return None
    return table
