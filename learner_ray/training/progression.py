"""Worse / same / better from two visits of one patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from sklearn.linear_model import LogisticRegression

from learner_ray.config import ProgressionConfig
from learner_ray.keys import random_key

Array = NDArray[np.float64]

FLOOR = 1e-3
"""Least probability of a class, so that log-loss stays finite for a class the fit has not seen."""


@dataclass(frozen=True)
class Embedded:
    """What an encoder says of each scan, and the cohort's frames around it."""

    embeddings: Mapping[str, Array]
    """(D,) by scan id; empty for controls without an encoder."""
    predictions: Mapping[str, float]
    """Predicted score by scan id, in the score's unit."""


def clip_pairs(pairs: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """All scan pairs behind the visit pairs, one row each: ``index`` into ``pairs``, ``earlier``, ``later``.

    Scans of the same view are compared where both visits have one, else every scan with every other.
    """
    numbered = pairs[["patient", "earlier", "later"]].reset_index(drop=True).reset_index()
    seen = scans[["patient", "visit", "scan", "view"]]
    sides = [
        numbered.merge(seen, left_on=["patient", side], right_on=["patient", "visit"])[
            ["index", "scan", "view"]
        ]
        for side in ("earlier", "later")
    ]
    clips = sides[0].merge(sides[1], on="index", suffixes=("_earlier", "_later"))
    matched = (clips["view_earlier"] == clips["view_later"]) & (clips["view_earlier"] != "")
    has_match = matched.groupby(clips["index"]).transform("any")
    clips = clips[matched | ~has_match].rename(columns={"scan_earlier": "earlier", "scan_later": "later"})
    return clips[["index", "earlier", "later"]].sort_values("index", kind="stable", ignore_index=True)


def features(
    config: ProgressionConfig, pairs: pd.DataFrame, clips: pd.DataFrame, embedded: Embedded
) -> list[Array]:
    """The classifier's inputs as blocks (N clip pairs, block width) that are scaled one by one."""
    of_pair = pairs.iloc[clips["index"].to_numpy()]
    if config.input == "nothing":
        return []
    if config.input == "earlier_score":
        return [of_pair["score_earlier"].to_numpy(float)[:, None]]
    if config.input == "metadata":
        interval = of_pair["interval_days"].fillna(0).to_numpy(float)[:, None]
        places = pd.get_dummies(of_pair[["site", "device"]]).to_numpy(float)
        return [interval, places] if places.size else [interval]
    if config.input == "score_difference":
        predicted = embedded.predictions
        difference = [
            predicted[b] - predicted[a] for a, b in zip(clips["earlier"], clips["later"], strict=True)
        ]
        return [np.array(difference, dtype=float).reshape(-1, 1)]
    earlier = stacked(embedded.embeddings, clips["earlier"])
    difference_ = stacked(embedded.embeddings, clips["later"]) - earlier
    return [difference_] if config.input == "difference" else [earlier, difference_]


def stacked(embeddings: Mapping[str, Array], scans: Iterable[str]) -> Array:
    """Embeddings of some scans, (N, D)."""
    return np.stack([embeddings[scan] for scan in scans]).astype(float)


class Scaler:
    """Brings each block to a mean squared length of one, so that one ridge penalty suits every input."""

    def __init__(self, blocks: Sequence[Array], *, centre: bool) -> None:
        self._means = [block.mean(0) if centre else np.zeros(block.shape[1]) for block in blocks]
        self._lengths = [
            np.sqrt(((block - mean) ** 2).sum(1).mean()) or 1.0
            for block, mean in zip(blocks, self._means, strict=True)
        ]

    def __call__(self, blocks: Sequence[Array]) -> Array:
        scaled = zip(blocks, self._means, self._lengths, strict=True)
        return np.concatenate([(block - mean) / length for block, mean, length in scaled], axis=1)


class PriorClassifier:
    """Gives every pair the class shares of the fit."""

    def __init__(self, prior: Array) -> None:
        self._prior = prior

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        return np.tile(self._prior, (n, 1))


class LogisticClassifier:
    """Multinomial logistic regression with a ridge penalty."""

    def __init__(self, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float) -> None:
        self._scale = Scaler(blocks, centre=True)
        self._model = LogisticRegression(C=1 / l2, max_iter=1000, tol=1e-6)
        self._model.fit(self._scale(blocks), y, sample_weight=weights)

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        probabilities = np.zeros((n, 3))
        probabilities[:, self._model.classes_] = self._model.predict_proba(self._scale(blocks))
        return probabilities


class OrdinalClassifier:
    """s = w.d with cut-points -theta and +theta: swapping the two visits swaps worse and better.

    P(worse) = sigma(-theta - s), P(better) = sigma(s - theta), after LILAC (Kim 2025, PNAS).
    """

    def __init__(self, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float) -> None:
        self._scale = Scaler(blocks, centre=False)  # centring would break the antisymmetry
        x = self._scale(blocks)

        def loss(parameters: Array) -> tuple[float, Array]:
            w, theta = parameters[:-1], np.exp(parameters[-1])
            s = x @ w
            a, b = expit(theta - s), expit(-theta - s)  # P(same) = a - b
            same = np.maximum(a - b, 1e-12)
            likelihood = np.choose(y, [log_expit(-theta - s), np.log(same), log_expit(s - theta)])
            by_s = weights * np.choose(y, [b - 1, a + b - 1, a])
            by_theta = weights * np.choose(y, [b - 1, (a * (1 - a) + b * (1 - b)) / same, -a])
            gradient = np.append(l2 * w - x.T @ by_s, -theta * by_theta.sum())
            return float(-(weights * likelihood).sum() + 0.5 * l2 * (w @ w)), gradient

        start = np.zeros(x.shape[1] + 1)
        self._parameters = minimize(loss, start, jac=True, method="L-BFGS-B").x

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        s = self._scale(blocks) @ self._parameters[:-1]
        theta = np.exp(self._parameters[-1])
        worse, better = expit(-theta - s), expit(s - theta)
        return np.stack([worse, 1 - worse - better, better], axis=1)


class Progression:
    """A classifier fitted on some pairs, deciding on others."""

    def __init__(
        self,
        config: ProgressionConfig,
        pairs: pd.DataFrame,
        scans: pd.DataFrame,
        embedded: Embedded,
        seed: int,
    ) -> None:
        clips = clip_pairs(pairs, scans)
        y = pairs["y"].to_numpy(int)
        if config.shuffle_labels:
            y = np.random.default_rng(random_key(seed, "shuffled labels")).permutation(y)
        self._config = config
        counts = np.bincount(y, minlength=3)
        self.prior: Array = (counts + 1) / (counts.sum() + 3)  # Laplace: a class not seen keeps a small share
        blocks = features(config, pairs, clips, embedded)
        self._classifier = self._fit(blocks, y, clips)

    def _fit(
        self, blocks: list[Array], y: NDArray[np.int64], clips: pd.DataFrame
    ) -> PriorClassifier | LogisticClassifier | OrdinalClassifier:
        index = clips["index"].to_numpy()
        if not blocks or len(np.unique(y[index])) < 2:
            return PriorClassifier(self.prior)
        weights = 1 / np.bincount(index)[index]  # a visit pair counts once, however many clips it has
        kind = LogisticClassifier if self._config.head == "logistic" else OrdinalClassifier
        return kind(blocks, y[index], weights, self._config.l2)

    def predict(self, pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded) -> Array:
        """Class probabilities (N, 3) of visit pairs, averaged over their clip pairs."""
        clips = clip_pairs(pairs, scans)
        blocks = features(self._config, pairs, clips, embedded)
        of_clips = self._classifier.predict(blocks, len(clips))
        index = clips["index"].to_numpy()
        sums = np.stack([np.bincount(index, of_clips[:, c], len(pairs)) for c in range(3)], axis=1)
        probabilities = sums / np.bincount(index, minlength=len(pairs))[:, None]
        floored = np.maximum(probabilities, FLOOR)
        return np.asarray(floored / floored.sum(1, keepdims=True))

    def decide(self, probabilities: Array) -> NDArray[np.int64]:
        """The class of each pair, by p_c / prior_c or by p_c."""
        scores = probabilities / self.prior if self._config.decision == "prior" else probabilities
        return np.asarray(scores.argmax(1))
