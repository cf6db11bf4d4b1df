"""The number of the rule that turns a ledger into verdicts, which a study freezes at its first start."""

from __future__ import annotations

ANALYSIS = 3
"""Raise it in the same commit as any change of what a verdict is decided by: the tests, the adjustment over
the family, the alpha, how failed runs count, or the cap. 1: max(p bootstrap, p Nadeau-Bengio / 2), by Holm.
2: one t statistic with the variance of patients and of training (``estimate.py``), by Holm.
3: exploratory, too, where a primary metric of the user's own was defined anew; no equivalence within a margin
that was changed when there were final runs.
"""
