"""The number of the rule that turns a ledger into verdicts, which a study freezes at its first start."""

from __future__ import annotations

from typing import Any

ANALYSIS = 3
"""Raise it in the same commit as any change of what a verdict is decided by: the tests, the adjustment over
the family, the alpha, how failed runs count, or the cap. 1: max(p bootstrap, p Nadeau-Bengio / 2), by Holm.
2: one t statistic with the variance of patients and of training (``estimate.py``), by Holm.
3: exploratory, too, where a primary metric of the user's own was defined anew; no equivalence within a margin
that was changed when there were final runs.
"""

_OF_THE_T_STATISTIC: dict[str, Any] = {
    "measured_by": "benchmarks/calibration.py",
    "metric": "macro-F1",
    "studies": 2000,
    "conditions": 15,
    "coverage": [0.943, 0.987],
    "supported": [0.014, 0.057],
    "families": {"arms": [3, 18], "studies": 1000, "any_supported": [0.015, 0.034]},
    "patients": [36, 189],
    "folds": [3, 5],
    "repeats": [1, 3],
    "seeds": [1, 10],
    "arms": [1, 18],
    "smallest_class": 0.1,
    "varied": "training noise from steady to heavy, unstable and collapsing arms, rare classes, one "
    "patient "
    "with half of the pairs",
    "not_held": {
        "what": "one choice shared by all folds, such as a single search",
        "supported": [0.168, 0.578],
    },
}
CALIBRATION = {2: _OF_THE_T_STATISTIC, 3: _OF_THE_T_STATISTIC}  # 3 withholds verdicts, and gives none more
"""By the number of the rule, what was measured of it by simulating equally good arms, lowest and highest over
the conditions: how often 95 % intervals covered the true difference, how often an arm was called supported,
and within which sizes of study. These are the tables of docs/verdict.md, which a test compares; a rule
without an entry has not been measured.
"""
