"""How good an ensemble's calibration and sets are, on patients that neither was learnt from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.bootstrap import interval, patient_weights
from analysis.statistics.conformal import Codes
from analysis.statistics.ensemble import FOLD, Ensemble, OutOfFold, Predicted, fold_means
from analysis.statistics.metrics import Array
from analysis.statistics.proper_scores import SMALLEST, class_probabilities

MEASURES = {
    "brier_before": "Brier score before",
    "brier_after": "Brier score after",
    "brier_gain": "Brier score, after less before",
    "nll_before": "log-loss before (nats)",
    "nll_after": "log-loss after (nats)",
    "covered": "coverage of the sets",
    "size": "classes in a set",
    "all": "share of sets with every class",
}
"""What is measured of each pair, in words."""


def judged(found: Predicted, y: Codes, patient: Codes) -> pd.DataFrame:
    """Judge predictions of pairs by their true classes: columns patient and ``MEASURES``, one row each."""
    rows = np.arange(len(y))
    truth = np.eye(found.raw.shape[1])[y]
    table = pd.DataFrame({"patient": patient})
    for name, p in (("before", found.raw), ("after", found.calibrated)):
        table[f"brier_{name}"] = ((p - truth) ** 2).sum(1)
        table[f"nll_{name}"] = -np.log(np.maximum(p[rows, y], SMALLEST))
    table["brier_gain"] = table["brier_after"] - table["brier_before"]
    table["covered"] = found.sets[rows, y].astype(float)
    table["size"] = found.sets.sum(1).astype(float)
    table["all"] = found.sets.all(1).astype(float)
    return table


def cross_fitted(known: OutOfFold, level: float) -> pd.DataFrame:
    """Judge every fold's pairs by a calibration on the patients of the other folds of its repeat.

    The models of the other folds have seen the patients that are judged, so the sets cannot compare fold by
    fold: those who are judged are compared with the others as if one set of models had predicted all.

    Args:
        known: of two folds a repeat at least.
        level: of the sets.

    Returns:
        As :func:`judged`, one row per pair and repeat.
    """
    repeat = np.array([repeat for repeat, _ in known.folds])[known.fold]
    parts = []
    for number, (of_repeat, _) in enumerate(known.folds):
        own = known.fold == number
        others = known.only((repeat == of_repeat) & ~own & ~np.isin(known.patient, known.patient[own]))
        found = Ensemble.of(others).predict(known.p[own][None], level)
        parts.append(judged(found, known.y[own], known.patient[own]))
    return pd.concat(parts, ignore_index=True)


def external(ensemble: Ensemble, rows: pd.DataFrame, level: float) -> pd.DataFrame:
    """Judge the whole ensemble on a cohort that no model has seen.

    Args:
        ensemble: of the arm.
        rows: of the arm's complete final runs, as in ``external.parquet``: every run has every pair.
        level: of the sets.

    Returns:
        As :func:`judged`, one row per pair.
    """
    keys = ["patient", "pair"]
    runs = [run.sort_values(keys) for _, run in rows.groupby([*FOLD, "seed"])]
    p = np.stack([class_probabilities(run) for run in runs])
    of_run = [(int(run["repeat"].iloc[0]), int(run["fold"].iloc[0])) for run in runs]
    found = ensemble.predict(fold_means(p, of_run, ensemble.known.folds), level)
    patient = np.unique(runs[0]["patient"].astype(str), return_inverse=True)[1].astype(np.int64)
    return judged(found, runs[0]["y_true"].to_numpy(np.int64), patient)


def summary(table: pd.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Average each measure over patients, pairs within a patient first.

    Returns:
        Mean and 95 % interval by measure, from patients drawn with replacement; calibration is not learnt
        again in each draw.
    """
    means: Array = table.groupby("patient")[list(MEASURES)].mean().to_numpy(np.float64)
    draws = patient_weights(len(means)) @ means / len(means)
    return {name: (float(means[:, i].mean()), *interval(draws[:, i])) for i, name in enumerate(MEASURES)}
