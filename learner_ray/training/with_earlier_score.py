"""What an arm adds to the earlier score: its progression classifier and the earlier score, combined.

Both classifiers are pooled by their log-odds (a logarithmic opinion pool, Genest and Zidek 1986): each gives
log(p_c / prior_c) for every class, and the pool is their sum with two weights of zero or more. The
weights are fitted to probabilities that both gave for patients left out of their fit, in inner folds of the
training patients; no test patient is looked at.

Why not one classifier of both inputs: some hundred pairs, hundreds of embedding dimensions and one score. A
ridge penalty on all of them treats the score as one direction among many, and without a penalty on the score
the fit of the embedding still disturbs what the score says. Here a worthless embedding gets the weight 0, and
the decisions are then those of the earlier-score control itself. Measured beside the alternatives on the lung
phantom and OASIS-2: docs/incremental.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from learner_ray.core.config import ProgressionConfig
from learner_ray.core.seeding import random_key
from learner_ray.training.classifiers import Array
from learner_ray.training.progression import Embedded, Progression, true_classes

INNER_FOLDS = 5
"""Inner folds of patients in which the weights are found; fewer where there are fewer patients."""
MOST = 5.0
"""Largest weight of a classifier, so that pairs which it separates without error do not drive it away."""

LEAST = 1e-3
"""Sum of the weights below which both classifiers count as worthless."""
CONTROL = (1.0, 0.0)
"""The weights under which the pool is the earlier-score control."""


def can_add(config: ProgressionConfig) -> bool:
    """Whether an arm's classifier sees anything that could add to the earlier score.

    That of a run with end-to-end training is left out: its encoder knows the classes of the very pairs that
    the weights would be fitted to.
    """
    return config.input not in ("nothing", "earlier_score") and not config.finetune_epochs


@dataclass(frozen=True)
class WithEarlierScore:
    """A progression classifier combined with one that sees the earlier score alone."""

    own: Progression
    """The arm's classifier."""
    score: Progression
    """The earlier-score control, fitted on all training patients of the run."""
    weights: tuple[float, float]
    """The weights of the earlier score and of the arm's classifier, each zero or more."""

    @classmethod
    def fit(
        cls,
        own: Progression,
        fitted: pd.DataFrame,
        pairs: pd.DataFrame,
        scans: pd.DataFrame,
        embedded: Embedded,
        seed: int,
    ) -> WithEarlierScore:
        """Combines an arm's fitted classifier with the earlier score.

        Args:
            own: the classifier.
            fitted: the visit pairs that it was fitted on.
            pairs: consecutive visits of all training patients, those of pretraining among them: their scores
                are known, whether or not the classifier saw their scans.
            scans: the scans of all training patients.
            embedded: embeddings and predicted scores of the patients of ``fitted``.
            seed: seed of random draws; it also deals the patients to inner folds.
        """
        config, nothing = _of_score(own.config), Embedded({}, {})
        score = Progression.fit(config, pairs, _of(scans, pairs), nothing, seed)
        seen = set(fitted["patient"])
        folds = _inner_folds(sorted(seen & set(pairs["patient"])), seed)
        odds: list[NDArray[np.float64]] = []
        classes: list[NDArray[np.int64]] = []
        for held_out in folds:
            asked = pairs[pairs["patient"].isin(held_out)].reset_index(drop=True)
            of_own, of_score = (
                table[~table["patient"].isin(held_out)].reset_index(drop=True) for table in (fitted, pairs)
            )
            judged = _of(scans, asked)
            inner = Progression.fit(own.config, of_own, _of(scans, of_own), embedded, seed)
            alone = Progression.fit(config, of_score, _of(scans, of_score), nothing, seed)
            given = (alone.predict(asked, judged, nothing), inner.predict(asked, judged, embedded))
            odds.append(np.stack([_log_odds(p, m) for p, m in zip(given, (alone, inner), strict=True)]))
            classes.append(true_classes(config, asked))
        if not folds:
            return cls(own, score, CONTROL)
        return cls(own, score, _weights(np.concatenate(odds, axis=1), np.concatenate(classes), score.prior))

    @classmethod
    def restore(
        cls,
        own: Progression,
        pairs: pd.DataFrame,
        scans: pd.DataFrame,
        weights: tuple[float, float],
        seed: int,
    ) -> WithEarlierScore:
        """The combination that :meth:`fit` found, from its weights: no embedding is needed for it again.

        Args:
            own: the arm's classifier.
            pairs: consecutive visits of all training patients, as they were.
            scans: the scans of all training patients.
            weights: of the earlier score and of the arm's classifier, as they were found.
            seed: the seed of the fit.
        """
        score = Progression.fit(_of_score(own.config), pairs, _of(scans, pairs), Embedded({}, {}), seed)
        return cls(own, score, weights)

    def predict(self, pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded) -> Array:
        """Class probabilities (N, C) of visit pairs."""
        given = self.score.predict(pairs, scans, Embedded({}, {})), self.own.predict(pairs, scans, embedded)
        odds = np.stack([_log_odds(p, m) for p, m in zip(given, (self.score, self.own), strict=True)])
        return np.asarray(softmax(_pooled(odds, np.array(self.weights), self.score.prior), axis=1))

    def decide(self, probabilities: Array) -> NDArray[np.int64]:
        """The class of each pair (N,), by the rule of the earlier-score control."""
        return self.score.decide(probabilities)


def _of_score(config: ProgressionConfig) -> ProgressionConfig:
    """The settings of the classifier that sees the earlier score alone."""
    return replace(config, input="earlier_score", shuffle_labels=False)


def _of(scans: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    return scans[scans["patient"].isin(set(pairs["patient"]))]


def _inner_folds(patients: list[str], seed: int) -> list[set[str]]:
    """Patients dealt to folds in random order; no fold where there are not two patients."""
    # Keys and not a generator's shuffle: its stream may change between versions of NumPy.
    order = sorted(patients, key=lambda patient: random_key(seed, "inner fold", patient))
    return [set(order[k::INNER_FOLDS]) for k in range(min(INNER_FOLDS, len(order)))] if len(order) > 1 else []


def _log_odds(probabilities: Array, classifier: Progression) -> Array:
    """log(p_c / prior_c) of each pair (N, C), less their mean: what a classifier says beyond its prior."""
    odds = np.log(probabilities / classifier.prior)
    return np.asarray(odds - odds.mean(1, keepdims=True))


def _pooled(odds: Array, weights: Array, prior: Array) -> Array:
    """Logits (N, C) of the pool, from the log-odds (2, N, C) of both classifiers."""
    return np.asarray(np.log(prior) + np.tensordot(weights, odds, 1))


def _weights(odds: Array, y: NDArray[np.int64], prior: Array) -> tuple[float, float]:
    """The weights that make the classes (N,) most likely, given log-odds (2, N, C); a concave problem."""

    def loss(weights: Array) -> tuple[float, Array]:
        log_p = log_softmax(_pooled(odds, weights, prior), axis=1)
        missed = np.exp(log_p) - np.eye(len(prior))[y]
        return -float(log_p[np.arange(len(y)), y].sum()), (odds * missed).sum((1, 2))

    found = minimize(loss, np.array(CONTROL), jac=True, method="L-BFGS-B", bounds=[(0, MOST)] * 2).x
    # Where neither says anything in the inner folds the pool would say nothing, and decide at random.
    return (float(found[0]), float(found[1])) if found.sum() > LEAST else CONTROL
