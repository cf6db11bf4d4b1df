"""Classifiers of worse / same / better, or worse or not, fitted on blocks of inputs, kept as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from learner_ray.training.metrics import without_warnings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scaler:
    """Brings each block to a mean squared length of one, so that one ridge penalty suits every input."""

    means: Sequence[Array]
    """(width,) of each block."""
    lengths: Sequence[float]
    """Root of the mean squared length of each block's rows."""

    @classmethod
    def fit(cls, blocks: Sequence[Array], *, centre: bool) -> Scaler:
        """The scaler of some blocks (N, width), which moves their means to zero where ``centre`` is set."""
        means = [block.mean(0) if centre else np.zeros(block.shape[1]) for block in blocks]
        lengths = [
            float(np.sqrt(((block - mean) ** 2).sum(1).mean())) or 1.0
            for block, mean in zip(blocks, means, strict=True)
        ]
        return cls(means, lengths)

    def __call__(self, blocks: Sequence[Array]) -> Array:
        """The scaled blocks side by side, (N, sum of widths)."""
        scaled = zip(blocks, self.means, self.lengths, strict=True)
        return np.concatenate([(block - mean) / length for block, mean, length in scaled], axis=1)

    def state(self) -> dict[str, Any]:
        """The scaler as plain values."""
        return {"means": [mean.tolist() for mean in self.means], "lengths": list(self.lengths)}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Scaler:
        """The scaler that ``state`` described."""
        return cls([np.array(mean) for mean in state["means"]], state["lengths"])


@dataclass(frozen=True)
class PriorClassifier:
    """Gives every pair the class shares of the fit."""

    prior: Array
    """(C,) class shares: worse, same, better, or worse, not worse."""

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        """Class probabilities (n, C) of n pairs with inputs ``blocks`` (n, width)."""
        return np.tile(self.prior, (n, 1))

    def state(self) -> dict[str, Any]:
        """The classifier as plain values that JSON keeps exactly."""
        return {"prior": self.prior.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> PriorClassifier:
        """The classifier that ``state`` described."""
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
        """Fits inputs ``blocks`` (N, width) to classes ``y`` (N,) of weights (N,), with a ridge penalty."""
        scale = Scaler.fit(blocks, centre=True)
        model = LogisticRegression(C=1 / l2, max_iter=1000, tol=1e-6)
        return cls(scale, model.fit(scale(blocks), y, sample_weight=weights))

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        """Class probabilities (n, 3) of n pairs with inputs ``blocks`` (n, width)."""
        probabilities = np.zeros((n, 3))
        probabilities[:, self.model.classes_] = self.model.predict_proba(self.scale(blocks))
        return probabilities

    def state(self) -> dict[str, Any]:
        """The classifier as plain values that JSON keeps exactly."""
        fitted = {name: getattr(self.model, name).tolist() for name in ("coef_", "intercept_", "classes_")}
        return {"scale": self.scale.state(), **fitted}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> LogisticClassifier:
        """The classifier that ``state`` described."""
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
    """(D + 1,): w, then log theta."""

    @classmethod
    def fit(
        cls, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float
    ) -> OrdinalClassifier:
        """Fits inputs ``blocks`` (N, width) to classes ``y`` (N,) of weights (N,), with a ridge penalty."""
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
        """Class probabilities (n, 3) of n pairs with inputs ``blocks`` (n, width)."""
        s = self.scale(blocks) @ self.parameters[:-1]
        theta = np.exp(self.parameters[-1])
        worse, better = expit(-theta - s), expit(s - theta)
        return np.stack([worse, 1 - worse - better, better], axis=1)

    def state(self) -> dict[str, Any]:
        """The classifier as plain values that JSON keeps exactly."""
        return {"scale": self.scale.state(), "parameters": self.parameters.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> OrdinalClassifier:
        """The classifier that ``state`` described."""
        return cls(Scaler.restore(state["scale"]), np.array(state["parameters"]))


@dataclass(frozen=True)
class MlpClassifier:
    """One hidden layer of 32 rectified units, with a ridge penalty."""

    scale: Scaler
    layers: tuple[tuple[Array, Array], ...]
    """Weights (in, out) and biases (out,) of the hidden and of the last layer."""
    classes: NDArray[np.int64]

    @classmethod
    def fit(
        cls, blocks: Sequence[Array], y: NDArray[np.int64], weights: Array, l2: float, seed: int
    ) -> MlpClassifier:
        """Fits inputs ``blocks`` (N, width) to classes ``y`` (N,) of weights (N,), from random weights."""
        scale = Scaler.fit(blocks, centre=True)
        # sklearn's penalty is a mean over samples, the other classifiers' a sum.
        model = MLPClassifier((32,), alpha=l2, solver="lbfgs", max_iter=500, tol=1e-6, random_state=seed)
        # Small fits are interpolated: the penalty, not convergence, is what holds them back.
        with without_warnings(ConvergenceWarning):
            model.fit(scale(blocks), y, sample_weight=weights)
        layers = tuple(zip(model.coefs_, model.intercepts_, strict=True))
        return cls(scale, layers, model.classes_)

    def predict(self, blocks: Sequence[Array], n: int) -> Array:
        """Class probabilities (n, 3) of n pairs with inputs ``blocks`` (n, width)."""
        (w, b), (v, c) = self.layers
        logits = np.maximum(self.scale(blocks) @ w + b, 0) @ v + c
        if logits.shape[1] == 1:  # of two classes sklearn keeps the second one's logit
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        probabilities = np.zeros((n, 3))
        probabilities[:, self.classes] = softmax(logits, axis=1)
        return probabilities

    def state(self) -> dict[str, Any]:
        """The classifier as plain values that JSON keeps exactly."""
        layers = [[w.tolist(), b.tolist()] for w, b in self.layers]
        return {"scale": self.scale.state(), "layers": layers, "classes": self.classes.tolist()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> MlpClassifier:
        """The classifier that ``state`` described."""
        layers = tuple((np.array(w), np.array(b)) for w, b in state["layers"])
        return cls(Scaler.restore(state["scale"]), layers, np.array(state["classes"]))


Classifier = PriorClassifier | LogisticClassifier | OrdinalClassifier | MlpClassifier

CLASSIFIERS: dict[str, type[Classifier]] = {
    "prior": PriorClassifier,
    "logistic": LogisticClassifier,
    "ordinal": OrdinalClassifier,
    "mlp": MlpClassifier,
}
"""Classifiers by ``progression.head``; ``prior`` stands in where there is nothing to fit."""
