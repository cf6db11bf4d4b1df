"""Temperature scaling towards the shares of the classes.

One parameter, the exponent b, which is one over the temperature::

    calibrated p_c is proportional to s_c (p_c / s_c)^b        s_c: the share of class c

With equal shares this is temperature scaling (Guo et al. 2017, ICML). With those of the cohort a prediction
that knows nothing, b = 0, becomes the shares and not equal probabilities, and what is scaled is the evidence
beyond the shares, as log-likelihood ratios are in forensics (Brummer and du Preez 2006, Computer Speech and
Language 20). b = 1 changes nothing, a smaller one moderates. The order of the classes by p_c / s_c never
changes. The log-likelihood is concave in b, so the fit is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from analysis.statistics.metrics import Array
from analysis.statistics.proper_scores import SMALLEST

LARGEST = 10.0
"""Exponent at most: beyond, right predictions alone are known, and any would do."""


@dataclass(frozen=True)
class Temperature:
    """A fitted scaling of class probabilities."""

    exponent: float
    shares: Array
    """Shares of the classes, shape (classes,)."""

    @classmethod
    def fit(cls, p: Array, y: NDArray[np.int64], weight: Array, shares: Array | None = None) -> Temperature:
        """Fit the exponent by maximum likelihood.

        Args:
            p: probabilities, shape (rows, classes).
            y: true classes, shape (rows,).
            weight: of each row, shape (rows,).
            shares: of the classes; without them those of ``y``, each class raised by one in the weights'
                unit, so that a class nobody has keeps a share.
        """
        if shares is None:
            counts = np.bincount(y, weight, p.shape[1]) + 1
            shares = counts / counts.sum()
        evidence = _evidence(p, shares)
        own = evidence[np.arange(len(y)), y]

        def slope(exponent: float) -> float:
            expected = (softmax(np.log(shares) + exponent * evidence, axis=1) * evidence).sum(1)
            return float((weight * (own - expected)).sum())

        if slope(0.0) <= 0:
            return cls(0.0, shares)
        exponent = LARGEST if slope(LARGEST) >= 0 else float(brentq(slope, 0.0, LARGEST, xtol=1e-12))
        return cls(exponent, shares)

    def __call__(self, p: Array) -> Array:
        """Calibrate probabilities, shape (..., classes)."""
        scaled = np.log(self.shares) + self.exponent * _evidence(p, self.shares)
        return np.asarray(softmax(scaled, axis=-1))


def _evidence(p: Array, shares: Array) -> Array:
    return np.asarray(np.log(np.maximum(p, SMALLEST)) - np.log(shares))
