"""Whether a new scan lies among a cohort's, by the distance of its embedding from the nearest one.

Embeddings are brought to length one, as the ledger's cosine distances are, and the distance is that of the
nearest scan of *another* patient (nearest neighbours on normalised features: Sun et al. 2022, ICML). Runs
have embedding spaces of their own, so a scan is compared within each, with the run's test patients alone:
the run has seen neither. How far is far, ``conformal_p`` says (Bates et al. 2023, Annals of Statistics 51):
of new scans from the cohort's population a share of about a at most is called as strange as p <= a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.conformal import Codes, conformal_p
from analysis.statistics.metrics import Array

FAR = 0.05
"""A new scan is far where at most this share of patients lies as far from the others."""


@dataclass(frozen=True)
class TestScans:
    """The test scans of one run."""

    __test__ = False  # no test

    embeddings: Array
    """Shape (scans, width)."""
    patient: NDArray[np.str_]
    """The patient of each, shape (scans,)."""


def shares_as_far(runs: Sequence[TestScans], new: Sequence[Array]) -> Array:
    """Compute for each new scan the share of a cohort's patients whose scans lie as far from the others.

    Args:
        runs: the test scans of each run, of two patients at least.
        new: the embeddings of the new scans by each run, shape (new, width).

    Returns:
        Shape (new,), from 1 / (patients + 1) to 1.
    """
    scores = [_nearest(run.embeddings, run.embeddings, run.patient[:, None] == run.patient) for run in runs]
    fold = np.repeat(np.arange(len(runs)), [len(each) for each in scores])
    patient: Codes = np.unique(np.concatenate([run.patient for run in runs]), return_inverse=True)[1]
    distances = [
        _nearest(own, run.embeddings, np.zeros((len(own), len(run.patient)), bool))
        for own, run in zip(new, runs, strict=True)
    ]
    return conformal_p(np.concatenate(scores), fold, patient, np.stack(distances))


def _nearest(of: Array, to: Array, but: NDArray[np.bool_]) -> Array:
    """Cosine distance of each row of one array from the nearest of another, some pairs left out."""
    distance = 1 - _unit(of) @ _unit(to).T
    return np.asarray(np.where(but, np.inf, distance).min(1))


def _unit(rows: Array) -> Array:
    rows = np.asarray(rows, np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
