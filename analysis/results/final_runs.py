"""The final runs that a study declared: which of them have ended, and which failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import pandas as pd

RUN = ["repeat", "fold", "seed"]
"""What tells the final runs of one arm apart."""


def declared_runs(info: Mapping[str, Any], ledger: pd.DataFrame) -> set[tuple[int, ...]]:
    """List the final runs that every arm must have: those of study.json's sizes, and all that some arm has.

    Returns:
        Triples of repeat, fold and seed.
    """
    runs = {tuple(map(int, run)) for run in ledger[RUN].drop_duplicates().itertuples(index=False, name=None)}
    sizes = [info.get(size) for size in ("repeats", "folds", "seeds")]
    return runs | set(product(*(range(size) for size in sizes if size is not None))) if all(sizes) else runs


def count_runs(info: Mapping[str, Any], arms: Iterable[str], ledger: pd.DataFrame) -> pd.DataFrame:
    """Count the final runs of each arm.

    Args:
        info: study.json, whose ``repeats``, ``folds`` and ``seeds`` say how many were declared.
        arms: names of the arms, in the order of the rows.
        ledger: one row per final run and test pair, with the column ``imputed``.

    Returns:
        Indexed by arm: ``final_runs`` that have ended, ``imputed_runs`` of them that failed or diverged, and
        ``missing_runs``, declared but not there.
    """
    declared = declared_runs(info, ledger)
    runs = ledger[["arm", *RUN, "imputed"]].drop_duplicates(["arm", *RUN])
    ended = runs.groupby("arm").size()
    imputed = runs[runs["imputed"].astype(bool)].groupby("arm").size()
    counted = pd.DataFrame(index=pd.Index(list(arms), name="arm"))
    counted["final_runs"] = [int(ended.get(arm, 0)) for arm in counted.index]
    counted["imputed_runs"] = [int(imputed.get(arm, 0)) for arm in counted.index]
    counted["missing_runs"] = len(declared) - counted["final_runs"]
    return counted


def common_rows(ledger: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of pairs that every arm of the ledger has predicted in the same final run.

    So all rows of a table are of the same patients, even where some arm lacks predictions.
    """
    arms = ledger["arm"].nunique()
    shared = ledger.groupby([*RUN, "patient", "pair"])["arm"].transform("size") == arms
    return ledger if shared.all() else ledger[shared].reset_index(drop=True)


def rows_of_runs(table: pd.DataFrame, ledger: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of a table whose final run is in a ledger, regardless of the arm."""
    runs = pd.MultiIndex.from_frame(ledger[RUN].drop_duplicates())
    kept = pd.MultiIndex.from_frame(table[RUN]).isin(runs)
    return table if kept.all() else table[kept].reset_index(drop=True)
