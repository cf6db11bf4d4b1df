"""Random numbers that are a function of a key and a position: the same bits on any device, in any batch.

A generator with a state would have to be advanced by the host, one draw after the other. Here every draw is a
hash of its key and its position, so a GPU computes a whole batch at once. All is integer arithmetic until the
last step, because logarithm and cosine, which normal deviates are usually made of, differ between devices in
the last place.
"""

from __future__ import annotations

import torch
from torch import Tensor

BITS = 32
NOISE_MEAN, NOISE_VARIANCE = 255, (256**2 - 1) / 6
"""Mean and variance of the sum of two random bytes, each from 0 to 255."""

_BYTES = 0x00FF00FF


def words(keys: Tensor, purpose: int, count: int) -> Tensor:
    """32 random bits for each of some positions of each key.

    Args:
        keys: int64 (B,), not negative, on the device that is to compute.
        purpose: what they are for; each purpose has numbers of its own.
        count: positions.

    Returns:
        int32 (B, count).
    """
    low, high = keys.to(torch.int32), (keys >> BITS).to(torch.int32)
    seeds = _mix(low ^ _mix(high + purpose))
    positions = _mix(torch.arange(count, dtype=torch.int32, device=keys.device))
    return _mix(positions ^ seeds[:, None])


def uniform(bits: Tensor) -> Tensor:
    """Random words, int32 of any shape (...), as numbers evenly spread over [-1, 1): float64 (...)."""
    return (bits >> 8).to(torch.float64) * 2.0**-23


def below(bits: Tensor, limits: Tensor) -> Tensor:
    """Random words, int32 (...), as whole numbers from 0 to below ``limits``, int64 (...) up to 2**31."""
    return (bits.to(torch.int64) & 0xFFFFFFFF) * limits >> BITS


def noise(keys: Tensor, purpose: int, count: int) -> Tensor:
    """The sum of two random bytes at each of some positions of each key: int64 (B,) -> int16 (B, count).

    Its distribution is a triangle from 0 to 510. One word serves two positions.
    """
    bits = words(keys, purpose, (count + 1) // 2)
    sums = (bits & _BYTES).add_((bits >> 8).bitwise_and_(_BYTES))
    return sums.view(torch.int16)[:, :count]


def _mix(x: Tensor) -> Tensor:
    """Every bit of the result depends on every bit of ``x``, int32 of any shape.

    Source: C. Wellons, "Prospecting for Hash Functions" (2018), ``lowbias32``. Integers wrap around as C's
    unsigned ones; a shift to the right copies the sign, which is masked away.
    """
    x = x ^ (x >> 16).bitwise_and_(0xFFFF)
    x = x.mul_(0x7FEB352D).bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF))
    return x.mul_(0x846CA68B - 2**32).bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))
