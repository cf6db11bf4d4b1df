"""Batches from the cache, and their augmentation.

All random draws of a clip come from its own key, and a pixel is computed in the same way at every place of a
batch, so that a key gives the same bits in any batch. Hence no
transcendental function is used per pixel (vector and scalar code differ in its last bit, and which one a
pixel meets depends on the batch), and no fused multiply-add.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from learner_ray.core.seeding import random_key
from learner_ray.imaging.cache import PixelCache
from learner_ray.imaging.sampling import frame_indices

ROTATION_DEG = 10.0
"""Largest rotation, in degrees."""
SCALE = 0.1
"""Largest change of size, as a share."""
TRANSLATION = 0.05
"""Largest shift, as a share of the frame's width or height."""
GAIN = 0.1
"""Largest change of brightness, as a share."""
MIDTONE = 0.2
"""Largest c: grey v in 0..1 becomes v + c v (1 - v): a gamma curve to first order, with black and white
kept."""
NOISE = 0.05
"""SD of the noise, in SDs of the scan."""
_BYTE_SD = float(np.sqrt((256**2 - 1) / 12))

FloatArray = NDArray[np.float64]


def load_batch(cache: PixelCache, scans: Sequence[str], frames: int, *, keys: Sequence[int] | None) -> Tensor:
    """Reads some frames of some scans.

    Args:
        cache: where the pixels are.
        scans: their ids, B of them.
        frames: frames per scan, T.
        keys: one per scan, draws the frame within each segment; None takes segment centres.

    Returns:
        uint8 (B, T, H, W).
    """
    batch = np.empty((len(scans), frames, cache.size, cache.size), np.uint8)
    for i, scan in enumerate(scans):
        rng = None if keys is None else _generator(random_key(keys[i], "frames"))
        batch[i] = cache.frames(scan)[frame_indices(cache.length(scan), frames, rng)]
    return torch.from_numpy(batch)


def augment(
    batch: Tensor,
    means: Tensor,
    sds: Tensor,
    keys: Sequence[int] | None,
    strength: float = 1.0,
    *,
    flip: bool = True,
) -> Tensor:
    """Standardise each scan and, given keys, vary its geometry and grey values; all frames of a clip alike.

    Rotation, scale, shift, gain and midtones are drawn evenly from plus and minus ``strength`` times the
    constants of this module, and a mirror image half of the time.

    Args:
        batch: uint8 (B, T, H, W) of square frames; the work is done on its device.
        means: float32 (B,), of the scans' foreground, from ``PixelCache.statistics``.
        sds: float32 (B,).
        keys: one per clip; None or strength 0 only standardises.
        strength: 1 is the default range.
        flip: whether left and right may be exchanged.

    Returns:
        float32 (B, T, H, W).
    """
    means, sds = means.to(batch.device), sds.to(batch.device)
    images = batch.to(torch.float32)
    if keys is None or strength == 0:
        return images.mul_(_per_clip(1 / sds)).add_(_per_clip(-means / sds))
    rngs = [_generator(random_key(key, "augment")) for key in keys]
    # Every clip draws the same numbers in the same order, so that a switch changes what it names only.
    draws = np.stack([rng.uniform(-1, 1, 7) for rng in rngs])
    images = F.grid_sample(
        images, _grid(draws, strength, flip, images), padding_mode="zeros", align_corners=False
    )
    gain = 1 + GAIN * strength * draws[:, 5]
    midtone = MIDTONE * strength * draws[:, 6]
    # gain * (v + c v (1 - v)), standardised, as (a - b x) x + c of the grey value x = 255 v.
    scale = torch.from_numpy(np.stack([gain * (1 + midtone), -gain * midtone / 255])).to(sds) / sds
    varied = images.mul(_per_clip(scale[1])).add_(_per_clip(scale[0])).mul_(images)
    return varied.add_(_per_clip(-means / sds)).add_(_noise(rngs, strength, images))


def _generator(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def _per_clip(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _grid(draws: FloatArray, strength: float, flip: bool, images: Tensor) -> Tensor:
    """Sampling positions (B, H, W, 2), in the coordinates of ``grid_sample``.

    Written out instead of ``affine_grid``, whose matrix product may round differently in another batch.
    """
    angle = np.deg2rad(ROTATION_DEG) * strength * draws[:, 0]
    scale = 1 + SCALE * strength * draws[:, 1]
    shift_x, shift_y = (2 * TRANSLATION * strength * draws[:, i] for i in (2, 3))
    mirror = np.where(flip & (draws[:, 4] < 0), -1.0, 1.0)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    theta = np.stack([mirror * cos, -sin, shift_x, mirror * sin, cos, shift_y])
    a, b, c, d, e, f = torch.from_numpy(theta).to(images)[:, :, None, None]
    size = images.shape[-1]
    centres = (torch.arange(size, device=images.device) * 2 + 1) / size - 1
    x, y = centres[None, None, :], centres[None, :, None]
    return torch.stack([a * x + b * y + c, d * x + e * y + f], dim=-1)


def _noise(rngs: Sequence[np.random.Generator], strength: float, images: Tensor) -> Tensor:
    """White noise, evenly distributed: one random byte per pixel costs a tenth of a normal deviate."""
    size = images[0].numel()
    noise = np.frombuffer(b"".join(rng.bytes(size) for rng in rngs), np.uint8).copy()
    field = torch.from_numpy(noise).to(images.device).to(torch.float32).reshape(images.shape)
    return field.sub_(127.5).mul_(NOISE * strength / _BYTE_SD)
