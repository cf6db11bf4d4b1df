"""What may be said of each arm: the one place between the tests and every table, figure, page and file.

A test gives a word (``analysis.statistics.verdict``); what stands behind it may only take away from that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.standing import Standing

EXPLORATORY = "exploratory"
CONFIGURATION_ONLY = "of this configuration only"
NOT_SUPPORTED = "not supported"
VARIES = "varies (exploratory)"
"""Said of a difference between subgroups, which is never supported: which ones matter was not declared."""
NOT_SHOWN_TO_VARY = "not shown to vary"


def capped(tests: pd.DataFrame, standing: Standing) -> pd.DataFrame:
    """Cap the verdicts of a study's tests.

    Args:
        tests: one row per arm as ``Comparison.tests`` has them: ``arm``, ``verdict``, ``p_holm``, and where
            final runs failed also the columns ``verdict_counted``, ``verdict_put_in`` and ``p_holm_put_in``.
        standing: what stands behind them.

    Returns:
        The same rows with capped verdicts, and without the advice of further runs where these could lead to
        no verdict that counts.
    """
    if tests.empty:
        return tests
    capped = tests.copy()
    both = tests[[name for name in ("p_holm", "p_holm_put_in") if name in tests]]
    p_of = {"verdict": both.max(axis=1), "verdict_counted": tests["p_holm"]}
    if "p_holm_put_in" in tests:
        p_of["verdict_put_in"] = tests["p_holm_put_in"]
    for column, p in p_of.items():
        if column in tests:
            cells: zip[tuple[Any, Any, Any]] = zip(tests[column], tests["arm"], p, strict=True)
            capped[column] = [
                capped_word(word, str(arm), float(p), standing) if isinstance(word, str) else word
                for word, arm, p in cells
            ]
    final = [not standing.may_look_again(str(arm)) for arm in tests["arm"]]
    for column in ("more_seeds", "more_repeats"):
        if column in tests:
            capped[column] = np.where(final, 0, tests[column])
    return capped


def capped_word(word: str, arm: str, p: float, standing: Standing) -> str:
    """Cap one verdict.

    Args:
        word: as the test gives it.
        arm: the arm it is of.
        p: the p it rests on, adjusted over the family.
        standing: what stands behind the study's verdicts.
    """
    if word == "not tested":
        return word
    if reasons := standing.exploratory.get(arm):
        return f"{EXPLORATORY} ({reasons[0]})"
    supported = word == "supported" and p <= standing.alpha
    if arm in standing.configuration:
        return CONFIGURATION_ONLY if supported else NOT_SUPPORTED
    return "supported" if supported else NOT_SUPPORTED
