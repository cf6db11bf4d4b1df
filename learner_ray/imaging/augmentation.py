"""Standardisation and augmentation of a batch of clips, on the device that trains.

All random draws of a clip come from its own key, and a pixel is computed in the same way at every place of a
batch, so that a key gives the same bits in any batch. Hence no transcendental function is used (vector and
scalar code differ in its last bit, and which one a pixel meets depends on the batch), and no fused
multiply-add. Nothing is read by the host, so that a CUDA graph can hold it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from learner_ray.imaging.counter_random import NOISE_MEAN, NOISE_VARIANCE, noise, uniform, words

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
_DRAWS, _NOISE = 2, 3
"""Purposes of the random words of a clip."""
_SINE = (1, -1 / 6, 1 / 120, -1 / 5040)
_COSINE = (1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320)
"""Taylor coefficients in the square of the angle: 1e-10 at the largest angle, of strength 2."""


def augment(
    batch: Tensor,
    means: Tensor,
    sds: Tensor,
    keys: Tensor | None,
    strength: float = 1.0,
    *,
    flip: bool = True,
) -> Tensor:
    """Standardise each scan and, given keys, vary its geometry and grey values; all frames of a clip alike.

    Rotation, scale, shift, gain and midtones are drawn evenly from plus and minus ``strength`` times the
    constants of this module, and a mirror image half of the time.

    Args:
        batch: uint8 (B, T, H, W) of square frames; the work is done on its device.
        means: float32 (B,) on that device, of the scans' foreground, from ``PixelCache.statistics``.
        sds: float32 (B,) on that device.
        keys: int64 (B,) on that device; None or strength 0 only standardises.
        strength: 1 is the default range.
        flip: whether left and right may be exchanged.

    Returns:
        float32 (B, T, H, W).
    """
    images = batch.to(torch.float32)
    if keys is None or strength == 0 or not len(batch):
        return images.mul_(_per_clip(1 / sds)).add_(_per_clip(-means / sds))
    # Every clip draws the same numbers in the same order, so that a switch changes what it names only.
    draws = uniform(words(keys, _DRAWS, 7)).unbind(1)
    grid = _grid(draws, strength, flip, images)
    images = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    gain = draws[5] * (GAIN * strength) + 1
    midtone = draws[6] * (MIDTONE * strength)
    # gain * (v + c v (1 - v)), standardised, as (a - b x) x + c of the grey value x = 255 v.
    linear, square = (gain * (midtone + 1)).to(sds), (gain * midtone / -255).to(sds)
    varied = images.mul(_per_clip(square / sds)).add_(_per_clip(linear / sds)).mul_(images)
    return varied.add_(_per_clip(-means / sds)).add_(_noise(keys, strength, images))


def _per_clip(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _grid(draws: tuple[Tensor, ...], strength: float, flip: bool, images: Tensor) -> Tensor:
    """Sampling positions (B, H, W, 2), in the coordinates of ``grid_sample``.

    Written out instead of ``affine_grid``, whose matrix product may round differently in another batch.
    """
    angle = draws[0] * (math.radians(ROTATION_DEG) * strength)
    scale = draws[1] * (SCALE * strength) + 1
    shift_x, shift_y = draws[2] * (2 * TRANSLATION * strength), draws[3] * (2 * TRANSLATION * strength)
    square = angle * angle
    cos, sin = _polynomial(_COSINE, square) * scale, _polynomial(_SINE, square) * angle * scale
    mirror = torch.where(draws[4] < 0, -1.0, 1.0) if flip else torch.ones_like(cos)
    theta = torch.stack([mirror * cos, -sin, shift_x, mirror * sin, cos, shift_y])
    a, b, c, d, e, f = theta.to(images)[:, :, None, None]
    size = images.shape[-1]
    centres = (torch.arange(size, device=images.device) * 2 + 1) / size - 1
    x, y = centres[None, None, :], centres[None, :, None]
    return torch.stack([a * x + b * y + c, d * x + e * y + f], dim=-1)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _noise(keys: Tensor, strength: float, images: Tensor) -> Tensor:
    """White noise with a distribution between even and normal."""
    field = noise(keys, _NOISE, images[0].numel()).to(torch.float32).view(images.shape)
    return field.sub_(NOISE_MEAN).mul_(NOISE * strength / math.sqrt(NOISE_VARIANCE))
