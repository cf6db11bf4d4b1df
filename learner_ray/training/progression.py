"""The progression classifier: worse / same / better, or worse or not, from two visits of one patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort import CLASSES, DECLINE_CLASSES
from learner_ray.core.config import ProgressionConfig
from learner_ray.core.seeding import random_key
from learner_ray.training.classifiers import (
    CLASSIFIERS,
    Array,
    Classifier,
    LogisticClassifier,
    MlpClassifier,
    OrdinalClassifier,
    PriorClassifier,
)
from learner_ray.training.covariates import CovariateInputs

FLOOR = 1e-3
"""Least probability of a class, so that log-loss stays finite for a class the fit has not seen."""


@dataclass(frozen=True)
class Embedded:
    """The embedding and the predicted score of each scan."""

    embeddings: Mapping[str, Array]
    """(D,) by scan id; empty for controls without an encoder."""
    predictions: Mapping[str, float]
    """Predicted score by scan id, in the score's unit."""


def clip_pairs(pairs: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """The scan pairs of some visit pairs, one row each: ``index`` into ``pairs``, ``earlier``, ``later``.

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
    covariates: CovariateInputs | None = None,
) -> list[Array]:
    """The classifier's inputs as blocks (N clip pairs, width), each of which is scaled by itself.

    Args:
        config: ``config.input`` decides what the inputs are.
        pairs: the visit pairs.
        clips: the N clip pairs that :func:`clip_pairs` found for them.
        embedded: embeddings and predicted scores of the scans.
        places: sites and devices of the fit, one input each; a pair from another place has none of them.
        covariates: the inputs of ``covariates``, as fitted.
    """
    of_pair = pairs.iloc[clips["index"].to_numpy()]
    if config.input == "nothing":
        return []
    if config.input == "earlier_score":
        return [of_pair["score_earlier"].to_numpy(float)[:, None]]
    if config.input == "metadata":
        interval = of_pair["interval_days"].fillna(0).to_numpy(float)[:, None]
        return [interval, *_known_places(of_pair, places)]
    if config.input == "covariates":
        return [*(covariates(of_pair) if covariates else []), *_known_places(of_pair, places)]
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
    """Indicator columns, one per site and device that occurs: 1 for the pairs from there."""
    return pd.get_dummies(pairs[["site", "device"]])


def fitted_inputs(
    config: ProgressionConfig, pairs: pd.DataFrame
) -> tuple[tuple[str, ...], CovariateInputs | None]:
    """What inputs take from the pairs of the fit: the sites and devices that occur, and how covariates are
    filled in and scaled; nothing where they are no inputs."""
    places = place_indicators(pairs) if config.input in ("metadata", "covariates") else ()
    return tuple(map(str, places)), CovariateInputs.fit(pairs) if config.input == "covariates" else None


def _known_places(pairs: pd.DataFrame, places: Sequence[str]) -> list[Array]:
    """One block of the indicators of some places; none where there are no places."""
    known = place_indicators(pairs).reindex(columns=list(places), fill_value=0).to_numpy(float)
    return [known] if places else []


def stacked(embeddings: Mapping[str, Array], scans: Iterable[str]) -> Array:
    """The embeddings of some scans as one array (N, D)."""
    return np.stack([embeddings[scan] for scan in scans]).astype(float)


def class_names(config: ProgressionConfig) -> tuple[str, ...]:
    """The names of the classes, in their order."""
    return CLASSES if config.classes == len(CLASSES) else DECLINE_CLASSES


def true_classes(config: ProgressionConfig, pairs: pd.DataFrame) -> NDArray[np.int64]:
    """The classes (N,) of pairs: 0 worse, 1 same, 2 better, or, of decline, 0 worse, 1 not worse."""
    return np.asarray(np.minimum(pairs["y"].to_numpy(np.int64), config.classes - 1))


def fitted_classes(config: ProgressionConfig, pairs: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """The classes (N,) that a classifier is fitted to: those of the pairs, permuted for the control."""
    y = true_classes(config, pairs)
    if config.shuffle_labels:
        return np.random.default_rng(random_key(seed, "shuffled labels")).permutation(y)
    return y


def decided(probabilities: Array, prior: Array, decision: str) -> NDArray[np.int64]:
    """The class of each pair, (N, C) -> (N,): by p_c / prior_c where the decision is ``prior``, and else by
    p_c."""
    return np.asarray((probabilities / prior if decision == "prior" else probabilities).argmax(1))


@dataclass(frozen=True)
class Progression:
    """A classifier fitted on some pairs, deciding on others."""

    config: ProgressionConfig
    """The settings it was fitted with."""
    prior: Array
    """(C,) shares of the C classes in the fit: worse, same, better, or worse, not worse."""
    places: tuple[str, ...]
    """Sites and devices of the fit, where these are inputs."""
    classifier: Classifier
    """The fitted classifier of clip pairs."""
    covariates: CovariateInputs | None = None
    """What is made of interval, age, sex and education, where these are inputs."""

    @classmethod
    def fit(
        cls,
        config: ProgressionConfig,
        pairs: pd.DataFrame,
        scans: pd.DataFrame,
        embedded: Embedded,
        seed: int,
    ) -> Progression:
        """Fits a classifier on visit pairs.

        Args:
            config: kind, inputs and penalty of the classifier.
            pairs: the visit pairs, with the columns of :meth:`Cohort.pairs`.
            scans: the scans of their patients.
            embedded: embeddings and predicted scores of these scans.
            seed: seed of random draws, where the kind has any.
        """
        clips = clip_pairs(pairs, scans)
        places, covariates = fitted_inputs(config, pairs)
        blocks = features(config, pairs, clips, embedded, places, covariates)
        fitted = cls.fit_blocks(config, blocks, clips, fitted_classes(config, pairs, seed), places, seed)
        return replace(fitted, covariates=covariates)

    @classmethod
    def fit_blocks(
        cls,
        config: ProgressionConfig,
        blocks: list[Array],
        clips: pd.DataFrame,
        y: NDArray[np.int64],
        places: tuple[str, ...],
        seed: int,
    ) -> Progression:
        """Fits a classifier on inputs that are known already.

        Args:
            config: kind and penalty of the classifier.
            blocks: as :func:`features` gives them, for the N clip pairs.
            clips: as :func:`clip_pairs` gives them.
            y: (M,) the classes of the M visit pairs.
            places: sites and devices that are inputs.
            seed: seed of random draws, where the kind has any.
        """
        counts = np.bincount(y, minlength=config.classes)
        prior: Array = (counts + 1) / (
            counts.sum() + config.classes
        )  # Laplace: a class not seen keeps a small share
        return cls(config, prior, places, _fit(config, blocks, y, clips, prior, seed))

    def predict(self, pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded) -> Array:
        """Class probabilities (N, C) of visit pairs, averaged over their clip pairs."""
        clips = clip_pairs(pairs, scans)
        blocks = features(self.config, pairs, clips, embedded, self.places, self.covariates)
        return self.predict_blocks(blocks, clips, len(pairs))

    def predict_blocks(self, blocks: list[Array], clips: pd.DataFrame, n: int) -> Array:
        """Class probabilities (n, C) of n visit pairs from the inputs of their clip pairs."""
        of_clips = self.classifier.predict(blocks, len(clips))
        index = clips["index"].to_numpy()
        sums = np.stack([np.bincount(index, of_clips[:, c], n) for c in range(len(self.prior))], axis=1)
        probabilities = sums / np.bincount(index, minlength=n)[:, None]
        floored = np.maximum(probabilities, FLOOR)
        return np.asarray(floored / floored.sum(1, keepdims=True))

    def decide(self, probabilities: Array) -> NDArray[np.int64]:
        """The class of each pair, (N, C) -> (N,)."""
        return decided(probabilities, self.prior, self.config.decision)

    def state(self) -> dict[str, Any]:
        """The fitted classifier as plain values that JSON keeps exactly."""
        kind = next(name for name, cls in CLASSIFIERS.items() if isinstance(self.classifier, cls))
        return {
            "config": asdict(self.config),
            "prior": self.prior.tolist(),
            "places": list(self.places),
            "classifier": kind,
            "fitted": self.classifier.state(),
            **({"covariates": self.covariates.state()} if self.covariates else {}),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Progression:
        """The progression that ``state`` described."""
        classifier = CLASSIFIERS[state["classifier"]].restore(state["fitted"])
        config = ProgressionConfig(**state["config"])
        covariates = CovariateInputs.restore(state["covariates"]) if "covariates" in state else None
        return cls(config, np.array(state["prior"]), tuple(state["places"]), classifier, covariates)


def _fit(
    config: ProgressionConfig,
    blocks: list[Array],
    y: NDArray[np.int64],
    clips: pd.DataFrame,
    prior: Array,
    seed: int,
) -> Classifier:
    index = clips["index"].to_numpy()
    if not blocks or len(np.unique(y[index])) < 2:
        return PriorClassifier(prior)
    weights = 1 / np.bincount(index)[index]  # a visit pair counts once, however many clips it has
    if config.head == "mlp":
        return MlpClassifier.fit(blocks, y[index], weights, config.l2, random_key(seed, "mlp") % 2**32)
    kind = LogisticClassifier if config.head == "logistic" else OrdinalClassifier
    return kind.fit(blocks, y[index], weights, config.l2)
