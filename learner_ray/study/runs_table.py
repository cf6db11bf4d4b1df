"""All runs of a study in one table, from the tables of its results folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from learner_ray.core.errors import UserError
from learner_ray.run.old_names import columns_now
from learner_ray.study.planned_run import group_name, run_label

COLUMNS = ("label", "state", "run_hash", "selection_score", "device_seconds")

FILES = {"trial": "trials.parquet", "audit": "audits.parquet", "final": "finals.parquet"}


def runs_table(out: Path) -> pd.DataFrame:
    """One row for every run of a study that has ended.

    Args:
        out: the study's results folder.

    Returns:
        columns ``label`` (arm, fold, role and number), ``state``, ``run_hash`` (the run's folder; empty for a
        final run that could never begin), ``selection_score`` (NaN where there is none, as for final runs)
        and ``device_seconds``.

    Raises:
        UserError: the folder holds no study, or one of its tables is damaged.
    """
    if not (out / "study.json").exists():
        raise UserError(f"{out} holds no study: run it first, or name the folder that its results are in")
    tables = [_rows(out / file, role) for role, file in FILES.items() if (out / file).exists()]
    whole = [table for table in tables if len(table)]
    return pd.concat(whole, ignore_index=True) if whole else pd.DataFrame(columns=list(COLUMNS))


def read_table(path: Path) -> pd.DataFrame:
    """A table of a results folder.

    Raises:
        UserError: it is damaged.
    """
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is damaged ({error}): run the study again, which writes it anew and repeats no run"
        ) from error


def _rows(path: Path, role: str) -> pd.DataFrame:
    table = read_table(path)
    if table.empty:
        return table
    table = table.rename(columns=columns_now(table.columns))
    number = "trial" if role == "trial" else "seed"
    table["label"] = [
        run_label(group_name(row["arm"], row["repeat"], row["fold"]), role, row[number])
        for row in table.to_dict("records")
    ]
    return table.reindex(columns=list(COLUMNS))
