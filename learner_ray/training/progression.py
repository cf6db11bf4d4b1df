"""Worse / same / better from two visits of one patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

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
    config: ProgressionConfig,
    pairs: pd.DataFrame,
    clips: pd.DataFrame,
    embedded: Embedded,
    places: Sequence[str] = (),
) -> list[Array]:
    """The classifier's inputs as blocks (N clip pairs, block width) that are scaled one by one.

    ``places`` are the sites and devices of the fit, one input each: a pair of another place has none of them.
    """
    of_pair = pairs.iloc[clips["index"].to_numpy()]
    if config.input == "nothing":
        return []
    if config.input == "earlier_score":
        return [of_pair["score_earlier"].to_numpy(float)[:, None]]
    if config.input == "metadata":
        interval = of_pair["interval_days"].fillna(0).to_numpy(float)[:, None]
        known = place_indicators(of_pair).reindex(columns=list(places), fill_value=0).to_numpy(float)
        return [interval, known] if places else [interval]
    if config.input == "score_difference":
        predicted = embedded.predictions
        difference = [
            predicted[b] - predicted[a] for a, b in zip(clips["earlier"], clips["later"], strict=True)
        ]
        return [np.array(difference, dtype=float).reshape(-1, 1)]
    earlier = stacked(embedded.embeddings, clips["earlier"])
    difference_ = stacked(embedded.embeddings, clips["later"]) - earlier
    return [difference_] if config.input == "difference" else [earlier, difference_]


def place_indicators(pairs: pd.DataFrame) -> pd.DataFrame:
    """One column per site and device that occurs, 1 where a pair is of it."""
    return pd.get_dummies(pairs[["site", "device"]])


def stacked(embeddings: Mapping[str, Array], scans: Iterable[str]) -> Array:
    """Embeddings of some scans, (N, D)."""
    return np.stack([embeddings[scan] for scan in scans]).astype(float)


@dataclass(frozen=True)
class Scaler:
    """Brings each block to a mean squared length of one, so that one ridge penalty suits every input."""

    means: Sequence[Array]
    lengths: Sequence[float]

    @classmethod
    def fit(cls, blocks: Sequence[Array], *, centre: bool) -> Scaler:
        means = [block.mean(0) if centre else np.zeros(block.shape[1]) for block in blocks]
        lengths = [
            float(np.sqrt(((block - mean) ** 2).sum(1).mean())) or 1.0
            for block, mean in zip(blocks, means, strict=True)
        ]
        return cls(means, lengths)

    def __call__(self, blocks: Sequence[Array]) -> Array:
        scaled = zip(blocks, self.means, self.lengths, strict=True)
        return np.concatenate([(block - mean) / length for block, mean, length in scaled], axis=1)

    def state(self) -> dict[str, Any]:
        return {"means": [mean.tolist() for mean in self.means], "lengths": list(self.lengths)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Scaler:
        return cls([np.array(mean) for mean in state["means"]], state["lengths"])


@dataclass(frozen=True)
class PriorClassifier:
    """Gives every pair the class shares of the fit."""

    prior: Array

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        return np.tile(self.prior, (n, 1))

    def state(self) -> dict[str, Any]:
        return {"prior": self.prior.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> PriorClassifier:
        return cls(np.array(state["prior"]))


@dataclass(frozen=True)
class LogisticClassifier:
    """Multinomial logistic regression with a ridge penalty."""

    scale: Scaler
    model: LogisticRegression

    @classmethod
    def fit(
        cls, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float
    ) -> LogisticClassifier:
        scale = Scaler.fit(blocks, centre=True)
        model = LogisticRegression(C=1 / l2, max_iter=1000, tol=1e-6)
        return cls(scale, model.fit(scale(blocks), y, sample_weight=weights))

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        probabilities = np.zeros((n, 3))
        probabilities[:, self.model.classes_] = self.model.predict_proba(self.scale(blocks))
        return probabilities

    def state(self) -> dict[str, Any]:
        fitted = {name: getattr(self.model, name).tolist() for name in ("coef_", "intercept_", "classes_")}
        return {"scale": self.scale.state(), **fitted}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> LogisticClassifier:
        model = LogisticRegression()
        for name in ("coef_", "intercept_", "classes_"):
            setattr(model, name, np.array(state[name]))
        return cls(Scaler.restore(state["scale"]), model)


@dataclass(frozen=True)
class OrdinalClassifier:
    """s = w.d with cut-points -theta and +theta: swapping the two visits swaps worse and better.

    P(worse) = sigma(-theta - s), P(better) = sigma(s - theta), after LILAC (Kim 2025, PNAS).
    """

    scale: Scaler
    parameters: Array
    """w, then log theta."""

    @classmethod
    def fit(
        cls, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float
    ) -> OrdinalClassifier:
        scale = Scaler.fit(blocks, centre=False)  # centring would break the antisymmetry
        x = scale(blocks)

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
        return cls(scale, minimize(loss, start, jac=True, method="L-BFGS-B").x)

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        s = self.scale(blocks) @ self.parameters[:-1]
        theta = np.exp(self.parameters[-1])
        worse, better = expit(-theta - s), expit(s - theta)
        return np.stack([worse, 1 - worse - better, better], axis=1)

    def state(self) -> dict[str, Any]:
        return {"scale": self.scale.state(), "parameters": self.parameters.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> OrdinalClassifier:
        return cls(Scaler.restore(state["scale"]), np.array(state["parameters"]))


Classifier = PriorClassifier | LogisticClassifier | OrdinalClassifier

_CLASSIFIERS: dict[str, type[Classifier]] = {
    "prior": PriorClassifier,
    "logistic": LogisticClassifier,
    "ordinal": OrdinalClassifier,
}


@dataclass(frozen=True)
class Progression:
    """A classifier fitted on some pairs, deciding on others."""

    config: ProgressionConfig
    prior: Array
    """Class shares of the fit: worse, same, better."""
    places: tuple[str, ...]
    """Sites and devices of the fit, where these are inputs."""
    classifier: Classifier

    @classmethod
    def fit(
        cls,
        config: ProgressionConfig,
        pairs: pd.DataFrame,
        scans: pd.DataFrame,
        embedded: Embedded,
        seed: int,
    ) -> Progression:
        clips = clip_pairs(pairs, scans)
        y = pairs["y"].to_numpy(int)
        if config.shuffle_labels:
            y = np.random.default_rng(random_key(seed, "shuffled labels")).permutation(y)
        counts = np.bincount(y, minlength=3)
        prior: Array = (counts + 1) / (counts.sum() + 3)  # Laplace: a class not seen keeps a small share
        places = tuple(map(str, place_indicators(pairs))) if config.input == "metadata" else ()
        blocks = features(config, pairs, clips, embedded, places)
        return cls(config, prior, places, _fit(config, blocks, y, clips, prior))

    def predict(self, pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded) -> Array:
        """Class probabilities (N, 3) of visit pairs, averaged over their clip pairs."""
        clips = clip_pairs(pairs, scans)
        blocks = features(self.config, pairs, clips, embedded, self.places)
        of_clips = self.classifier.predict(blocks, len(clips))
        index = clips["index"].to_numpy()
        sums = np.stack([np.bincount(index, of_clips[:, c], len(pairs)) for c in range(3)], axis=1)
        probabilities = sums / np.bincount(index, minlength=len(pairs))[:, None]
        floored = np.maximum(probabilities, FLOOR)
        return np.asarray(floored / floored.sum(1, keepdims=True))

    def decide(self, probabilities: Array) -> NDArray[np.int64]:
        """The class of each pair, by p_c / prior_c or by p_c."""
        scores = probabilities / self.prior if self.config.decision == "prior" else probabilities
        return np.asarray(scores.argmax(1))

    def state(self) -> dict[str, Any]:
        """All of it as plain values that JSON keeps exactly."""
        kind = next(name for name, cls in _CLASSIFIERS.items() if isinstance(self.classifier, cls))
        return {
            "config": asdict(self.config),
            "prior": self.prior.tolist(),
            "places": list(self.places),
            "classifier": kind,
            "fitted": self.classifier.state(),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Progression:
        """What ``state`` described."""
        classifier = _CLASSIFIERS[state["classifier"]].restore(state["fitted"])
        config = ProgressionConfig(**state["config"])
        return cls(config, np.array(state["prior"]), tuple(state["places"]), classifier)


def _fit(
    config: ProgressionConfig, blocks: list[Array], y: NDArray[np.int64], clips: pd.DataFrame, prior: Array
) -> Classifier:
    index = clips["index"].to_numpy()
    if not blocks or len(np.unique(y[index])) < 2:
        return PriorClassifier(prior)
    weights = 1 / np.bincount(index)[index]  # a visit pair counts once, however many clips it has
    kind = LogisticClassifier if config.head == "logistic" else OrdinalClassifier
    return kind.fit(blocks, y[index], weights, config.l2)
