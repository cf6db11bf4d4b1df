"""Sensitivity of the result to the class threshold, and of the classes to site and device."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.results.study import StudyResults
from analysis.statistics.compare import tests_against
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.metrics import ReportMetric

PERMUTATIONS = 999
ROUNDING = 1e-9
"""Part of the threshold by which a change may miss it: 0.3 - 0.1 is a change of 0.2."""


def thresholds(study: StudyResults) -> list[float]:
    """Choose the class thresholds to try: the declared one, one smaller and one larger.

    Returns:
        In the score's unit: 15, 25, 35 of S/F; 1, 2, 3 points of MMSE; 0.3, 0.5, 0.7 of a score in fractions;
        1 and 2 where the declared one is the smallest change there can be. Empty where none is declared.
    """
    declared = float((study.cohort.get("score") or {}).get("change_threshold") or 0)
    if declared <= 0:
        return []
    change = study.compared["change"].dropna().to_numpy(dtype=np.float64)
    in_points = bool(np.allclose(change, change.round())) and declared < 5
    step = 1.0 if in_points else 0.4 * declared
    return [t for t in (declared - step, declared, declared + step) if t > ROUNDING]


def threshold_sensitivity(study: StudyResults, metric: ReportMetric) -> pd.DataFrame:
    """Compare each arm with the reference when pairs are classed by another change of score.

    Predictions stay as they were made, so this asks about the test's labels, not about training.

    Returns:
        One row per threshold and tested arm: ``declared`` (whether it is the study's own threshold),
        ``difference`` with ``low`` and ``high``, and ``verdict`` by the rule of all verdicts; empty where no
        threshold or change is recorded.
    """
    known = "change" in study.compared and study.compared["change"].notna().any()
    if not known or study.reference not in set(study.compared["arm"]):
        return pd.DataFrame()
    ledger = study.compared.dropna(subset=["change"])
    change = ledger["change"].to_numpy(dtype=np.float64)
    arms = tuple(arm for arm in (study.reference, *study.family) if arm in set(ledger["arm"]))
    found = []
    for threshold in thresholds(study):
        least = threshold * (1 - ROUNDING)
        y = np.where(change <= -least, 0, np.where(change >= least, len(study.classes) - 1, 1))
        rows = tests_against(
            confusion_counts(ledger.assign(y_true=y), arms),
            reference=study.reference,
            family=study.family,
            primary=metric,
        )
        if rows.empty:
            return pd.DataFrame()
        declared = threshold == float(study.cohort["score"]["change_threshold"])
        found.append(rows.assign(threshold=threshold, declared=declared))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def association(ledger: pd.DataFrame, column: str) -> tuple[float, float]:
    """Measure how far the class depends on a column such as the site.

    Whole patients swap their column values, so that several pairs of one patient count as one.

    Returns:
        Cramér's V over pairs, and its p by permutation of patients; NaN where the column has one value.
    """
    if column not in ledger:
        return float("nan"), float("nan")
    pairs = ledger.drop_duplicates("pair").dropna(subset=[column])
    code, values = pd.factorize(pairs[column])
    if len(values) < 2:
        return float("nan"), float("nan")
    patient, patients = pd.factorize(pairs["patient"])
    y = pairs["y_true"].to_numpy(dtype=np.int64)
    of_patient = np.zeros(len(patients), dtype=np.int64)
    of_patient[patient] = code
    rng = np.random.default_rng(0)
    observed = _cramers_v(y, of_patient[patient], len(values))
    permuted = [_cramers_v(y, rng.permutation(of_patient)[patient], len(values)) for _ in range(PERMUTATIONS)]
    return observed, float((1 + np.sum(np.array(permuted) >= observed - 1e-12)) / (PERMUTATIONS + 1))


def _cramers_v(y: np.ndarray, code: np.ndarray, levels: int) -> float:
    counts = np.bincount(y * levels + code, minlength=3 * levels).reshape(3, levels)
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    if min(counts.shape) < 2:
        return 0.0
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
    chi2 = ((counts - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / counts.sum() / (min(counts.shape) - 1)))
