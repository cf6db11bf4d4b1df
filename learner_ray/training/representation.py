"""Metrics of the embeddings during pretraining: for watching a run, not for choosing one.

All linear algebra is PyTorch's, in float64: its results follow from the number of threads that a run records,
where those of NumPy's BLAS follow from the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner_ray.training.metrics import spearman

CLOSE = 0.5
"""Scans whose scores differ by at most this many SDs should lie close together (alignment)."""
LEAST_SPREAD = 1e-3
"""Share of the embeddings' length that must differ between scans, or they count as collapsed."""
LEAST_RANK = 0.075
"""Share of the possible RankMe below which embeddings count as collapsed; 0 is one direction, 1 all alike.

Both limits were set from encoders that had learned: 90 final runs of 15 arms at 64 pixels, on the test scans
of the lung phantom (n = 48) and of OASIS-2 (n = 122), and short trainings on one OASIS-2 fold. Least spread
0.005 (group normalisation; 0.03 with batch normalisation); least rank share 0.088 (adacon, score Spearman
0.77), then 0.095 (expw), 0.20 and more for all others. A learning rate of 0.1, which ruins an encoder without
a NaN, gave rank shares of 0.00 to 0.07.
"""
_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties to choose from, for inputs of a mean squared length of one."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class EmbeddedScans:
    """N scans with their embeddings."""

    embeddings: Tensor
    """(N, D) float64."""
    scores: Array
    """(N,) true scores, in the score's unit."""
    patients: NDArray[np.int64]
    """(N,) numbers of patients."""
    visits: Array
    """(N,) numbers that sort the visits of a patient."""

    @classmethod
    def of(cls, scans: pd.DataFrame, embeddings: Mapping[str, Any]) -> EmbeddedScans:
        """Scans of a cohort (columns scan, score, patient, order) with their embeddings by scan id."""
        stacked = np.array([embeddings[scan] for scan in scans["scan"]], dtype=float)
        return cls(
            embeddings=torch.from_numpy(stacked),
            scores=scans["score"].to_numpy(float),
            patients=np.unique(scans["patient"].to_numpy(str), return_inverse=True)[1].astype(np.int64),
            visits=scans["order"].to_numpy(float),
        )


def representation_metrics(validation: EmbeddedScans, fitted: EmbeddedScans) -> dict[str, float]:
    """Metrics of the validation scans' embeddings; linear probes are fitted on other patients' scans.

    A metric is NaN where there are too few scans for it. No p-value is given: pairs of scans are far from
    independent.

    Args:
        validation: the scans that are judged.
        fitted: scans of other patients, the ones that the progression classifier is fitted on.

    Returns:
        distance_between, distance_within: Spearman of cosine distance and absolute score difference over scan
        pairs of different patients, and of different visits of one patient.
        score_probe: Spearman of a ridge probe's prediction and the score.
        change_probe: Spearman of a ridge probe for embedding and score differences of consecutive visits,
        each visit being the mean of its scans. alignment: mean squared distance of pairs of different
        patients whose scores are ``CLOSE``, and uniformity: log mean exp(-2 squared distance) over all pairs,
        both on centred embeddings of unit length (Wang and Isola 2020, arXiv 2005.10242): 2 and about -4
        where nothing is learned, in theory. rankme: effective number of directions (Garrido 2023, arXiv
        2210.02885), centred; ``rank_share``: where it lies between 1 and the most that N scans allow; spread:
        length of the centred embeddings as a share of their whole length. collapsed: 1 where one of these two
        is below its limit, else 0. neighbour_same_patient: how often the nearest scan of another visit is of
        the same patient; neighbour_chance: that share for a scan drawn at random. Far above chance, the
        encoder tells patients apart, not scores.
    """
    metrics = {
        **_distances(validation),
        "score_probe": _probe(validation, fitted),
        "change_probe": _probe(_changes(validation), _changes(fitted)),
        **_geometry(validation),
        **_neighbours(validation),
        **collapse(validation.embeddings),
    }
    return {f"representation/{name}": float(value) for name, value in metrics.items()}


def collapse(embeddings: Tensor) -> dict[str, float]:
    """Effective rank and spread of embeddings (N, D), and whether they have collapsed. NaN for N < 3."""
    n, d = embeddings.shape
    if n < 3:
        return dict.fromkeys(("rankme", "rank_share", "spread", "collapsed"), float("nan"))
    centred = embeddings - embeddings.mean(0)
    length = float(embeddings.norm())
    spread = float(centred.norm()) / length if length else 0.0
    # The singular values by way of the smaller Gram matrix: the same to about eight digits, ten times faster.
    gram = centred @ centred.T if n <= d else centred.T @ centred
    singular = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    share = singular / singular.sum().clamp(min=1e-300)
    rankme = float(torch.special.entr(share).sum().exp())
    rank_share = (rankme - 1) / max(min(n - 1, d) - 1, 1)
    collapsed = spread < LEAST_SPREAD or rank_share < LEAST_RANK
    return {"rankme": rankme, "rank_share": rank_share, "spread": spread, "collapsed": float(collapsed)}


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=1, eps=1e-300)


def _same(values: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray(values[:, None] == values)


def _distances(scans: EmbeddedScans) -> dict[str, float]:
    i, j = np.triu_indices(len(scans.scores), 1)
    unit = _unit(scans.embeddings)
    distance = 1 - (unit @ unit.T).numpy()[i, j]
    difference = np.abs(scans.scores[i] - scans.scores[j])
    between = scans.patients[i] != scans.patients[j]
    within = ~between & (scans.visits[i] != scans.visits[j])
    return {
        "distance_between": spearman(distance[between], difference[between]),
        "distance_within": spearman(distance[within], difference[within]),
    }


def _geometry(scans: EmbeddedScans) -> dict[str, float]:
    n = len(scans.scores)
    if n < 2:
        return {"alignment": float("nan"), "uniformity": float("nan")}
    unit = _unit(scans.embeddings - scans.embeddings.mean(0))
    i, j = np.triu_indices(n, 1)
    squared = 2 - 2 * (unit @ unit.T).numpy()[i, j]
    near = np.abs(scans.scores[i] - scans.scores[j]) <= CLOSE * scans.scores.std()
    positive = near & (scans.patients[i] != scans.patients[j])
    alignment = squared[positive].mean() if positive.any() else float("nan")
    return {"alignment": alignment, "uniformity": np.log(np.exp(-2 * squared).mean())}


def _neighbours(scans: EmbeddedScans) -> dict[str, float]:
    same = _same(scans.patients)
    allowed = ~(same & _same(scans.visits))
    asked = (same & allowed).any(1)
    if not asked.any():
        return {"neighbour_same_patient": float("nan"), "neighbour_chance": float("nan")}
    unit = _unit(scans.embeddings - scans.embeddings.mean(0))
    similarity = np.where(allowed, (unit @ unit.T).numpy(), -np.inf)
    hits = np.take_along_axis(same, similarity.argmax(1)[:, None], axis=1)[:, 0]
    chance = (same & allowed).sum(1) / np.maximum(allowed.sum(1), 1)
    return {"neighbour_same_patient": hits[asked].mean(), "neighbour_chance": chance[asked].mean()}


def _changes(scans: EmbeddedScans) -> EmbeddedScans:
    """Differences of consecutive visits, later minus earlier, in place of scans."""
    keys = np.stack([scans.patients.astype(float), scans.visits], axis=1).reshape(-1, 2)
    visits, index = np.unique(keys, axis=0, return_inverse=True)  # sorted by patient, then visit
    index = index.reshape(-1)  # NumPy 2.0 gave it another shape
    weights = (np.arange(len(visits))[:, None] == index) / np.bincount(index, minlength=len(visits))[:, None]
    means = torch.from_numpy(weights) @ scans.embeddings
    scores = weights @ scans.scores
    pairs = np.flatnonzero(visits[1:, 0] == visits[:-1, 0])
    return EmbeddedScans(
        embeddings=means[pairs + 1] - means[pairs],
        scores=scores[pairs + 1] - scores[pairs],
        patients=visits[pairs, 0].astype(np.int64),
        visits=visits[pairs, 1],
    )


def _probe(judged: EmbeddedScans, fitted: EmbeddedScans) -> float:
    """Spearman of the true scores and those that a ridge regression predicts from other patients."""
    if len(judged.scores) < 3 or len(fitted.scores) < 3:
        return float("nan")
    centre = fitted.embeddings.mean(0)
    x = fitted.embeddings - centre
    scale = float((x**2).sum(1).mean()) or 1.0
    eigenvalues, vectors = torch.linalg.eigh(x @ x.T / scale)
    target = torch.from_numpy(fitted.scores - fitted.scores.mean())
    projected = vectors.T @ target
    penalty = min(
        _PENALTIES, key=lambda l2: _left_out_error(eigenvalues, vectors, target, fitted.patients, l2)
    )
    dual = vectors @ (projected / (eigenvalues.clamp(min=0) + penalty))
    predicted = (judged.embeddings - centre) @ (x.T @ dual) / scale
    return spearman(predicted.numpy(), judged.scores)


def _left_out_error(
    eigenvalues: Tensor, vectors: Tensor, target: Tensor, patients: NDArray[np.int64], penalty: float
) -> float:
    """Squared error of a ridge regression on each patient left out in turn, without fitting anew.

    A linear smoother's left-out residuals are (I - H_gg)^-1 r_g for the hat matrix H and the residuals r
    (Golub, Heath and Wahba 1979, for groups of one).
    """
    n = len(target)
    shrink = eigenvalues.clamp(min=0) / (eigenvalues.clamp(min=0) + penalty)
    hat = (vectors * shrink) @ vectors.T + 1 / n  # 1 / n: the intercept, which is not penalised
    residual = target - hat @ target
    rest = torch.eye(n, dtype=hat.dtype) - hat
    error = 0.0
    for patient in np.unique(patients):
        rows = torch.from_numpy(np.flatnonzero(patients == patient))
        left_out = torch.linalg.lstsq(rest[rows[:, None], rows], residual[rows, None]).solution
        error += float((left_out**2).sum())
    return error
