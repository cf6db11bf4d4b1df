"""The noise of a study's own runs, so that plans rest on what was seen rather than on an assumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.estimate import Estimate, estimate
from analysis.statistics.metrics import METRICS
from analysis.statistics.simulated_studies import (
    DEFAULT_NOISE,
    REFERENCE,
    Arms,
    Design,
    Noise,
    simulated_ledger,
)

FACTORS = (0.25, 1.0, 2.0, 4.0)
"""By which the assumed noise is multiplied to find the factor that fits; beyond these the end is taken."""
FEWEST_DEGREES = 5
"""Degrees of freedom of the noise between seeds or repeats below which nothing is fitted: a few folds of one
seed show hardly anything of it."""
STUDIES = 12
"""Simulated for each factor."""


def fitted_noise(ledger: pd.DataFrame, reference: str, arms: Sequence[str]) -> Noise | None:
    """Fit the simulation's noise to a study's final runs.

    Two factors are fitted to the variances of the differences in macro-F1 between the arms and the reference,
    averaged over the arms: one multiplies how arms read patients and pairs (the part of patients), the other
    how runs differ (the part of training). What a single run does to single pairs stays as assumed.

    Args:
        ledger: of the study.
        reference: the arm that the others are compared with.
        arms: those compared.

    Returns:
        The noise; None where the ledger lacks the reference or all arms, or has too few seeds and repeats to
        tell training noise.
    """
    present = [arm for arm in arms if arm in set(ledger["arm"])]
    if not present or reference not in set(ledger["arm"]):
        return None
    counts = confusion_counts(ledger, (reference, *present))
    seen = [_parts(counts, arm, reference) for arm in present]
    patients, training = (float(np.mean([part[i] for part in seen])) for i in (0, 1))
    if not np.isfinite(patients + training):
        return None
    design = _design(counts, ledger)
    noise = DEFAULT_NOISE
    for _ in range(2):  # each factor moves the other's part a little
        noise = _fitted(noise, design, patients, 0)
        noise = _fitted(noise, design, training, 1)
    return noise


def _parts(counts: ConfusionCounts, arm: str, reference: str) -> tuple[float, float]:
    """The variance of a difference because of patients, and because of training (negative by chance)."""
    found: Estimate = estimate(counts, {arm: 1.0, reference: -1.0}, METRICS["macro_f1"])
    training = found.training if np.isfinite(found.training) else found.seeds
    of_repeats = 0 if found.one_repeat else found.training_degrees
    known = found.seeds_degrees + of_repeats >= FEWEST_DEGREES
    return found.patients, training if known else float("nan")


def _design(counts: ConfusionCounts, ledger: pd.DataFrame) -> Design:
    """The size of the study that a ledger is of."""
    once = ledger.drop_duplicates(["patient", "pair"])
    shares = once["y_true"].value_counts(normalize=True).reindex([0, 1, 2], fill_value=0.0)
    repeats = len(np.unique(counts.repeats))
    return Design(
        patients=len(counts.patients),
        folds=int(counts.fold.max()) + 1,
        repeats=repeats,
        seeds=len(counts.rounds) // repeats,
        pairs=tuple(int(n) for n in once.groupby("patient").size()),
        classes=(float(shares[0]), float(shares[1]), float(shares[2])),
    )


def _scaled(noise: Noise, factor: float, part: int) -> Noise:
    """The assumed noise of one part times a factor, the other part as given."""
    names = (("arm_patient", "arm_pair"), ("partition", "run", "run_bias"))[part]
    return replace(noise, **{name: factor * getattr(DEFAULT_NOISE, name) for name in names})


def _fitted(noise: Noise, design: Design, wanted: float, part: int) -> Noise:
    """The noise whose simulated studies have the wanted variance of one part on average."""
    found = [_simulated(_scaled(noise, factor, part), design)[part] for factor in FACTORS]
    # The variance grows with the square of the factor; monotone here, since few studies leave some noise.
    square = float(np.interp(wanted, np.maximum.accumulate(found), np.square(FACTORS)))
    return _scaled(noise, float(np.sqrt(square)), part)


def _simulated(noise: Noise, design: Design) -> tuple[float, float]:
    """Both parts, averaged over simulated studies of two equal arms."""
    parts = []
    for child in np.random.SeedSequence(0).spawn(STUDIES):
        ledger = simulated_ledger(np.random.default_rng(child), design, Arms(noise=noise))
        parts.append(_parts(confusion_counts(ledger, (REFERENCE, "arm1")), "arm1", REFERENCE))
    patients, training = np.mean(parts, axis=0)
    return float(patients), float(training)
