"""Scans of the cohort's population are called far as seldom as stated, others are called so."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

from analysis.statistics.nearest_scans import FAR, TestScans, shares_as_far


def cohort(rng: np.random.Generator, patients: int, turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Three scans of each patient, around a place of the patient's own, and who they are of."""
    patient = np.repeat(np.arange(patients), 3)
    places = rng.normal(size=(patients, 8)) @ np.diag(np.linspace(2, 0.2, 8)) + 2
    return (places[patient] + 0.1 * rng.normal(size=(len(patient), 8))) @ turn, patient.astype(str)


def test_scans_of_the_same_population_are_seldom_far_and_others_are() -> None:
    rng, studies, far, strange = np.random.default_rng(0), 300, 0, 0
    for _ in range(studies):
        turns = [
            np.linalg.qr(rng.normal(size=(8, 8)))[0] for _ in range(3)
        ]  # each run has a space of its own
        every, patient = cohort(rng, 41, np.eye(8))
        old = patient != "40"
        runs = [
            TestScans(every[old & mine] @ turn, patient[old & mine])
            for turn, mine in zip(turns, (patient.astype(int) % 3 == np.arange(3)[:, None]), strict=True)
        ]
        new = [np.stack([every[~old][0], -every[~old][0]]) @ turn for turn in turns]
        inside, outside = shares_as_far(runs, new)
        far += bool(inside <= FAR)
        strange += bool(outside <= FAR)
    assert far <= binom.ppf(0.999, studies, FAR)
    assert strange >= 0.9 * studies


def test_a_scan_is_never_compared_with_its_own_patients() -> None:
    """Else each would lie on another visit of its patient, and every new patient far from all."""
    rows = np.repeat(np.eye(10), 2, axis=0)
    runs = [TestScans(rows, np.repeat(np.arange(10), 2).astype(str))]
    assert shares_as_far(runs, [np.eye(10)[:1] * 0 + 0.1]) == 1.0
