"""Integrated gradients of a predicted change, beside which ``saliency.py`` sets the occlusion maps.

The path leads from the scan blurred throughout, as the windows of occlusion are, to the scan; what is
integrated is the gradient of p(better) - p(worse) by its pixels (Sundararajan, Taly and Yan 2017, ICML).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from learner_ray.training.data import Data
from learner_ray.training.occlusion import WINDOWS
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import Embedded, clip_pairs, features

STEPS = 16
"""Points of the path, in the middles of equal parts."""
SMALL = 1e-3
"""Step of the classifier's numerical derivative, in SDs of the embedding."""


def pair_gradients(
    predictor: Predictor, data: Data, pair: pd.DataFrame, embedded: Embedded
) -> dict[str, NDArray[np.float64]]:
    """Maps (H, W) of the earlier and the later scan of a pair, in that order, by scan id.

    Args:
        predictor: of the run; its classifier reads embeddings alone.
        data: with the pair's scans.
        pair: one row, as :meth:`Data.pairs` has it, with index 0.
        embedded: what the run makes of the scans as they are.
    """
    clips = clip_pairs(pair, data.of([pair["patient"][0]])).iloc[:1]
    network, _ = predictor.exported
    network.eval()
    maps = {}
    for side in ("earlier", "later"):
        scan = str(clips[side].iloc[0])
        (clip,) = data.batches([scan], predictor.spec.config.data.frames, "cpu", 1)
        window = max(2, clip.shape[-1] // WINDOWS)
        start = torch.from_numpy(gaussian_filter(clip.numpy(), (0, 0, window, window), mode="nearest"))
        total = torch.zeros_like(clip)
        for step in range(STEPS):
            point = (start + (step + 0.5) / STEPS * (clip - start)).requires_grad_(True)
            embedding = network(point).embedding
            by_embedding = _derivative(predictor, pair, clips, embedded, side, embedding[0].detach().numpy())
            (gradient,) = torch.autograd.grad(
                embedding, point, torch.from_numpy(by_embedding)[None].to(embedding)
            )
            total += gradient / STEPS
        attributed = ((clip - start) * total)[0].double().sum(0).numpy()
        maps[scan] = uniform_filter(attributed, window)
    return maps


def _derivative(
    predictor: Predictor,
    pair: pd.DataFrame,
    clips: pd.DataFrame,
    embedded: Embedded,
    side: str,
    embedding: NDArray[np.float32],
) -> NDArray[np.float64]:
    """The derivative of p(better) - p(worse) by one scan's embedding (D,): (D,), by central differences."""
    progression, width = predictor.progression, len(embedding)
    assert progression.config.input in ("difference", "both"), progression.config.input
    step = SMALL * max(float(embedding.std()), 1e-6)
    moved = np.concatenate([np.eye(width), -np.eye(width)]) * step + embedding.astype(float)
    names = [f"moved {number}" for number in range(len(moved))]
    every = Embedded({**embedded.embeddings, **dict(zip(names, moved, strict=True))}, embedded.predictions)
    repeated = pd.concat([clips] * len(names), ignore_index=True)
    repeated["index"], repeated[side] = np.arange(len(names)), names
    pairs = pd.concat([pair] * len(names), ignore_index=True)
    blocks = features(progression.config, pairs, repeated, every, progression.places, progression.covariates)
    found = progression.predict_blocks(blocks, repeated, len(names))
    response = found[:, 2] - found[:, 0]
    return np.asarray((response[:width] - response[width:]) / (2 * step))


def main() -> None:
    """Names the benchmark that draws these maps."""
    print("python benchmarks/saliency.py lus --out FOLDER --maps gradients")


if __name__ == "__main__":
    main()
