"""Which scans come together in a batch: one order per epoch, the same for any number of devices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Batches = list[NDArray[np.int64]]
"""The rows (B,) of every batch of an epoch."""


def shuffled(scans: int, steps: int, rng: np.random.Generator) -> Batches:
    """Deals out all scans once, in batches of nearly equal size, so that none is left with a scan or two."""
    return np.array_split(rng.permutation(scans), steps)


def balanced_by_score(scores: NDArray[Any], steps: int, rng: np.random.Generator, bins: int = 8) -> Batches:
    """Draws as many scans from each octile of the *distinct* scores (N,); rare ones repeat."""
    size = math.ceil(len(scores) / steps)
    edges = np.quantile(np.unique(scores), np.linspace(0, 1, bins + 1)[1:-1])
    which = np.digitize(scores, edges)
    weights = 1 / np.bincount(which)[which]
    return [rng.choice(len(scores), size, replace=False, p=weights / weights.sum()) for _ in range(steps)]


def paired_by_patient(
    patients: NDArray[Any], visits: NDArray[Any], steps: int, rng: np.random.Generator
) -> Batches:
    """Deals out all scans once, in batches as large as those of :func:`shuffled`, with pairs of one patient.

    Scans of one patient at different visits are paired at random, as many pairs P as can be without using a
    scan twice, and dealt out evenly: a batch of b scans gets at least min(b // 2, P // steps) of them. So
    each has a pair to every four scans wherever the patients have that many. Further pairs may come together
    among the scans that fill the batches up.

    Args:
        patients: (N,) whose each scan is.
        visits: (N,) at which visit, by any number that differs between visits of one patient.
        steps: number of batches.
        rng: decides the order.
    """
    sizes = [len(part) for part in np.array_split(patients, steps)]
    pairs = rng.permutation(_pairs(patients, visits, rng))
    dealt = np.split(pairs, np.cumsum(_even(len(pairs), [size // 2 for size in sizes])))
    paired = [part.ravel() for part in dealt[:steps]]
    alone = rng.permutation(np.setdiff1d(np.arange(len(patients)), np.concatenate(paired)))
    room = [size - len(part) for size, part in zip(sizes, paired, strict=True)]
    filling = np.split(alone, np.cumsum(room)[:-1])
    return [np.concatenate(parts) for parts in zip(paired, filling, strict=True)]


def _pairs(patients: NDArray[Any], visits: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """(P, 2) scans, in each row two of one patient at different visits; no scan twice, and as many rows as
    can be."""
    found = []
    _, first = np.unique(np.sort(patients), return_index=True)
    for scans in np.split(np.argsort(patients, kind="stable"), first[1:]):
        rows = rng.permutation(scans)
        _, visit, counts = np.unique(visits[rows], return_inverse=True, return_counts=True)
        # Visit by visit, the visits in random order. No visit is longer than the step from one of a pair to
        # the other, so a pair never lies within one.
        rows = rows[np.argsort(rng.permutation(len(counts))[visit], kind="stable")]
        step = max(int(counts.max()), math.ceil(len(rows) / 2))
        found.append(np.stack([rows[: len(rows) - step], rows[step:]], axis=1))
    return np.concatenate(found)


def _even(total: int, most: list[int]) -> list[int]:
    """Divides a number into parts as equal as can be, none above its own limit; limits differ by one at most.
    What fits nowhere is left out."""
    share = min(total // len(most), min(most))
    left = total - share * len(most)
    parts = []
    for limit in most:
        extra = min(1, left, limit - share)
        parts.append(share + extra)
        left -= extra
    return parts
