"""Random draws of both phantoms: traits that stay with a patient, smooth noise, and grey values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

FloatArray = NDArray[np.floating[Any]]

WITHIN = 0.15
"""Share of a trait's variance that differs between the visits of one patient; the rest is the patient's."""

_PASSES = 2
"""Rounds over all scales: what is moved at one scale moves the others a little."""


def draw_traits(
    spreads: Mapping[str, tuple[float, float]], patient: np.random.Generator, visit: np.random.Generator
) -> dict[str, float]:
    """Traits that have nothing to do with the score, each a normal deviate cut at two SDs.

    Args:
        spreads: centre and SD of each trait.
        patient: draws the patient's share, the same numbers at every visit.
        visit: draws the visit's share.
    """
    own, now = patient.standard_normal(len(spreads)), visit.standard_normal(len(spreads))
    deviates = np.clip(np.sqrt(1 - WITHIN) * own + np.sqrt(WITHIN) * now, -2, 2)
    return {
        name: float(centre + sd * z)
        for (name, (centre, sd)), z in zip(spreads.items(), deviates, strict=True)
    }


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float | tuple[float, ...]
) -> FloatArray:
    """White noise (shape as given) blurred by a Gaussian of ``sigma`` samples that wraps around, with SD
    1."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return np.asarray(field / field.std(), dtype=np.float32)


def match_quantiles(values: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Values moved, in their order, to a given distribution.

    A brighter or a larger structure then takes its grey values from the rest of the scan, so that no
    histogram tells of it.

    Args:
        values: values of any shape.
        quantiles: (Q,) the distribution, at evenly spaced probabilities from 0 to 1.
    """
    low, high = values.min(), values.max()
    counts, edges = np.histogram(values, bins=4096, range=(low, high))
    probability = np.concatenate([[0.0], np.cumsum(counts) / values.size])
    # One table from value to grey: interpolating twice on every pixel would cost twice the time.
    table = np.interp(probability, np.linspace(0, 1, len(quantiles)), quantiles)
    return np.asarray(np.interp(values, edges, table), dtype=np.float32)


def match_at_scales(
    frames: FloatArray, inside: NDArray[np.bool_], quantiles: FloatArray, coarse: Mapping[int, float]
) -> FloatArray:
    """Grey values moved to a distribution that holds for the frames and for smaller copies of them.

    Structure that outlasts averaging (a line, not speckle) tells of itself in the histogram of a smaller
    copy, or of a compressed one, even where the full frame's histogram is fixed.

    Args:
        frames: (T, H, W); H and W are multiples of the scales.
        inside: (H, W) the pixels that are moved.
        quantiles: (Q,) the distribution of the full frames, as in :func:`match_quantiles`.
        coarse: scale -> SD of the means of scale x scale pixels, as a share of the full frames' SD.
    """
    frames = frames.copy()
    frames[:, inside] = match_quantiles(frames[:, inside], quantiles)
    middle = quantiles.mean()
    for _ in range(_PASSES):
        for scale, share in coarse.items():
            weight = _block_sums(inside[None].astype(np.float32), scale)
            means = _block_sums(frames * inside, scale) / np.maximum(weight, 1)
            cells = weight[0] >= scale**2 / 2
            change = np.zeros_like(means)
            wanted = middle + share * (quantiles - middle)
            change[:, cells] = match_quantiles(means[:, cells], wanted) - means[:, cells]
            frames += change.repeat(scale, 1).repeat(scale, 2)
        frames[:, inside] = match_quantiles(frames[:, inside], quantiles)
    return frames


def tone(quantiles: FloatArray, visit: np.random.Generator, spread: float) -> FloatArray:
    """Another rising distribution near a given one: a scanner's settings are never quite those of last time.

    Args:
        quantiles: (Q,) at evenly spaced probabilities from 0 to 1; the first one is kept.
        visit: draws the difference.
        spread: its SD, as a share of the largest quantile.
    """
    bent = quantiles + spread * quantiles[-1] * smooth_noise(visit, quantiles.shape, len(quantiles) / 12)
    rising = np.maximum.accumulate(bent - bent[0] + quantiles[0])
    return np.asarray(rising, dtype=np.float32)


def _block_sums(frames: FloatArray, scale: int) -> FloatArray:
    t, h, w = frames.shape
    return np.asarray(frames.reshape(t, h // scale, scale, w // scale, scale).sum((2, 4)), dtype=np.float32)
