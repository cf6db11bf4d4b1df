"""The rows of a ledger in which an arm is combined with the earlier score, under a name of their own."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from analysis.results.final_runs import RUN

SUFFIX = " + earlier score"
"""Ends the name of an arm that is combined with the earlier score."""


def split_ledger(ledger: pd.DataFrame, declared: Collection[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part a ledger into the rows of the arms themselves and those combined with the earlier score.

    Args:
        ledger: with the column ``arm``.
        declared: names of the arms that study.json has; one that ends so is an arm of its own.
    """
    names = ledger["arm"].astype(str)
    combined = names.str.endswith(SUFFIX) & ~names.isin(set(declared))
    if not combined.any():
        return ledger, ledger.iloc[:0]
    return ledger[~combined].reset_index(drop=True), ledger[combined].reset_index(drop=True)


def lacking_runs(ledger: pd.DataFrame, combined: pd.DataFrame) -> dict[str, int]:
    """Count for each arm of a ledger the final runs that are not there combined with the earlier score.

    Args:
        ledger: the rows of the arms themselves.
        combined: those combined with the earlier score.
    """
    runs = ledger[["arm", *RUN]].drop_duplicates()
    there = pd.MultiIndex.from_frame(combined[["arm", *RUN]].drop_duplicates())
    named = pd.MultiIndex.from_frame(runs.assign(arm=runs["arm"] + SUFFIX))
    lacking = runs["arm"][~named.isin(there)].value_counts()
    return {str(arm): int(lacking.get(arm, 0)) for arm in runs["arm"].unique()}
