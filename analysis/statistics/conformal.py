"""Cross-conformal prediction with patients as the exchangeable unit.

Each pair was predicted by models that had not seen its patient: those of its fold. A new pair is predicted by
the models of every fold, and compared with each pair as the models saw it that had left that pair out
(cross-conformal prediction: Vovk 2015, Annals of Mathematics and Artificial Intelligence 74; CV+: Barber,
Candes, Ramdas and Tibshirani 2021, Annals of Statistics 49; for classes: Romano, Sesia and Candes 2020,
NeurIPS 33).

Pairs of one patient depend on each other, so patients are what is exchangeable: each has a weight of 1,
shared by its rows, and the new patient adds 1 (hierarchical conformal prediction: Lee, Barber and Willett
2023, arXiv 2306.06342). What is promised is about one pair, drawn at random, of a new patient from the same
population.

With one set of models for all (split conformal prediction) the promise of a level 1 - a is exact: at least
1 - a. With those of several folds it is about 1 - 2 a in the worst case, and in practice close to 1 - a.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.metrics import Array

Codes = NDArray[np.int64]

_ROUNDING = 1e-9
"""Sums of weights such as 1 / 3 are exact to far less than this."""


def least_patients(level: float) -> int:
    """Count the patients from which on a class can be ruled out at a level at all: 9 at 0.9."""
    return int(np.ceil(level / (1 - level) - _ROUNDING))


def row_weights(patient: Codes) -> Array:
    """Weigh rows, shape (rows,), so that every patient weighs 1."""
    _, code, rows = np.unique(patient, return_inverse=True, return_counts=True)
    return np.asarray(1 / rows[code])


def conformal_p(scores: Array, fold: Codes, patient: Codes, new: Array) -> Array:
    """Compute the share of patients who are at least as strange as something new, who counts with them.

    Args:
        scores: how strange each known row is to the models that had left it out, shape (rows,).
        fold: the models of each row, from 0, shape (rows,).
        patient: the patient of each row, shape (rows,).
        new: how strange the new things are to the models of each fold, shape (folds, ...).

    Returns:
        Shape (...), from 1 / (patients + 1) to 1.
    """
    weight = row_weights(patient)
    as_strange = np.zeros(new.shape[1:])
    for index in range(len(new)):
        own = fold == index
        order = np.argsort(scores[own], kind="stable")
        above = np.append(np.cumsum(weight[own][order][::-1])[::-1], 0.0)
        as_strange += above[np.searchsorted(scores[own][order], new[index], side="left")]
    return np.asarray((1 + as_strange) / (len(np.unique(patient)) + 1))


def prediction_sets(
    p: Array, y: Codes, fold: Codes, patient: Codes, new: Array, level: float
) -> NDArray[np.bool_]:
    """Find the classes of new pairs that the known pairs do not rule out.

    A class is as strange as it is improbable: 1 - p (LAC, the least ambiguous sets on average: Sadinle, Lei
    and Wasserman 2019, Journal of the American Statistical Association 114). It is ruled out where at most
    1 - ``level`` of the patients are as strange under their true class.

    Args:
        p: probabilities of the known pairs by the models that had left them out, shape (rows, classes).
        y: their true classes, shape (rows,).
        fold: the models of each, from 0, shape (rows,).
        patient: the patient of each, shape (rows,).
        new: probabilities of the new pairs by the models of each fold, shape (folds, pairs, classes).
        level: at least this share of true classes is to lie in the sets.

    Returns:
        Which classes are in each set, shape (pairs, classes). A set may be empty.
    """
    strange = 1 - p[np.arange(len(p)), y]
    return np.asarray(conformal_p(strange, fold, patient, 1 - new) > 1 - level + _ROUNDING)
