"""Every loss once more, as plain Python loops written from the formulas in the docstrings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from learner_ray.core.config import LossConfig
from learner_ray.losses import Batch, TrainingScores
from learner_ray.losses.rank_n_contrast import TIE

Vector = list[float]


class Plain:
    """A batch as lists of Python numbers."""

    def __init__(self, batch: Batch, config: LossConfig, training: TrainingScores) -> None:
        self.u: list[Vector] = batch.embeddings.double().tolist()
        self.y: Vector = batch.scores.double().tolist()
        self.predicted: Vector = batch.predictions.double().tolist()
        self.patient: list[int] = batch.patients.tolist()
        self.scan: list[int] = batch.scans.tolist()
        self.order: Vector = batch.order.double().tolist()
        self.config = config
        self.known: Vector = training.scores.double().tolist()
        self.known_patient: list[int] = training.patients.tolist()
        self.change_threshold = training.change_threshold
        self.all = range(len(self.u))

    def counts(self, same_patient: bool) -> bool:
        return {"between": not same_patient, "all": True, "within": same_patient}[self.config.pairs]

    def others(self, i: int, views: bool = False) -> list[int]:
        """The entries that are compared with i."""
        chosen = []
        for j in self.all:
            if j == i:
                continue
            if self.scan[j] == self.scan[i]:
                if views:
                    chosen.append(j)
            elif self.counts(self.patient[j] == self.patient[i]):
                chosen.append(j)
        return chosen

    def cos(self, i: int, j: int) -> float:
        norms = math.sqrt(dot(self.u[i], self.u[i])) * math.sqrt(dot(self.u[j], self.u[j]))
        return dot(self.u[i], self.u[j]) / norms if norms else 0.0

    def distance(self, i: int, j: int) -> float:
        return math.dist(self.u[i], self.u[j])

    def dy(self, i: int, j: int) -> float:
        return abs(self.y[i] - self.y[j])


def dot(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values) if values else 0.0


def log_sum_exp(values: list[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values))


def mse(b: Plain) -> float:
    return 0.0


def contrastive(b: Plain) -> float:
    scale = 1.0
    if b.config.weighted:
        known = range(len(b.known))
        gaps = [
            abs(b.known[i] - b.known[j])
            for i in known
            for j in known
            if i < j and b.counts(b.known_patient[i] == b.known_patient[j])
        ]
        scale = mean(gap for gap in gaps if gap > b.config.threshold) or 1.0
    terms = []
    for i in b.all:
        for j in b.others(i):
            if b.dy(i, j) <= b.config.threshold:
                terms.append(1 - b.cos(i, j))
            else:
                weight = b.dy(i, j) / scale if b.config.weighted else 1.0
                terms.append(weight * max(0.0, b.cos(i, j) - (1 - b.config.margin)))
    return mean(terms)


def rank_n_contrast(b: Plain) -> float:
    t = b.config.temperature or 2.0
    terms = []
    for i in b.all:
        for j in b.others(i, views=True):
            rivals = [k for k in b.others(i, views=True) if b.dy(i, k) >= b.dy(i, j) - TIE]
            terms.append(b.distance(i, j) / t + log_sum_exp([-b.distance(i, k) / t for k in rivals]))
    return mean(terms)


def _kernel(b: Plain, i: int, j: int) -> float:
    return math.exp(-(b.dy(i, j) ** 2) / (2 * b.config.bandwidth**2))


def y_aware(b: Plain) -> float:
    t = b.config.temperature or 0.1
    terms = []
    for i in b.all:
        others = b.others(i, views=True)
        if others:
            total = sum(_kernel(b, i, k) for k in others)
            normaliser = log_sum_exp([b.cos(i, k) / t for k in others])
            terms.append(-sum(_kernel(b, i, j) / total * (b.cos(i, j) / t - normaliser) for j in others))
    return mean(terms)


def expw(b: Plain) -> float:
    t = b.config.temperature or 0.1
    terms = []
    for i in b.all:
        others = b.others(i, views=True)
        if others:
            total = sum(_kernel(b, i, k) for k in others)
            normaliser = log_sum_exp([b.cos(i, k) / t * (1 - _kernel(b, i, k)) for k in others])
            terms.append(-sum(_kernel(b, i, j) / total * (b.cos(i, j) / t - normaliser) for j in others))
    return mean(terms)


def supcon(b: Plain) -> float:
    t = b.config.temperature or 0.07
    known = sorted(b.known)

    def quantile(q: float) -> float:
        at = q * (len(known) - 1)
        low = min(int(at), len(known) - 2) if len(known) > 1 else 0
        return known[low] + (at - low) * (known[min(low + 1, len(known) - 1)] - known[low])

    def label(i: int) -> int:
        return sum(b.y[i] >= quantile(k / b.config.bins) for k in range(1, b.config.bins))

    terms = []
    for i in b.all:
        others = b.others(i, views=True)
        positive = [p for p in others if label(p) == label(i)]
        if positive:
            normaliser = log_sum_exp([b.cos(i, a) / t for a in others])
            terms.append(mean(normaliser - b.cos(i, p) / t for p in positive))
    return mean(terms)


def adacon(b: Plain) -> float:
    scale = 1 / b.config.temperature if b.config.temperature else 150.0

    def rank(i: int) -> float:
        below = sum(y < b.y[i] for y in b.known)
        tied = sum(y == b.y[i] for y in b.known)
        return (below + tied / 2) / len(b.known)

    terms = []
    for i in b.all:
        positive = [p for p in b.others(i) if b.dy(i, p) <= b.config.threshold]
        if not positive:
            continue
        logits = [
            scale * (b.cos(i, a) + (0.0 if a in positive else min(2.0, 2 * abs(rank(i) - rank(a)))))
            for a in b.others(i)
        ]
        terms.append(mean(log_sum_exp(logits) - scale * b.cos(i, p) for p in positive))
    return mean(terms)


def log_ratio(b: Plain) -> float:
    terms = []
    for a in b.all:
        others = [j for j in b.others(a) if b.dy(a, j) > 0]
        for i in others:
            for j in others:
                if i != j:
                    embeddings = math.log((b.distance(a, i) + 1e-6) / (b.distance(a, j) + 1e-6))
                    terms.append((embeddings - math.log(b.dy(a, i) / b.dy(a, j))) ** 2)
    return mean(terms)


def siamese(b: Plain) -> float:
    t = b.config.temperature or 0.4
    theta = b.config.boundary * b.change_threshold or b.config.threshold

    def sigma(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    terms = []
    for i in b.all:
        for j in b.all:
            if b.patient[i] == b.patient[j] and b.order[i] < b.order[j]:
                s, change = b.predicted[j] - b.predicted[i], b.y[j] - b.y[i]
                better, worse = sigma((s - theta) / t), sigma((-s - theta) / t)
                same = 1 - better - worse
                terms.append(-math.log(better if change > theta else worse if change < -theta else same))
    return mean(terms)


REFERENCES: dict[str, Callable[[Plain], float]] = {
    f.__name__: f
    for f in (mse, contrastive, rank_n_contrast, y_aware, expw, supcon, adacon, log_ratio, siamese)
}
