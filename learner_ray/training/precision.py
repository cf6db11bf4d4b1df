"""Number formats of training, and the one that a machine is fastest in."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch


def fastest_precision(device: str) -> Literal["float32", "bfloat16"]:
    """The precision that ``auto`` stands for: bfloat16 where the device computes in it natively, else
    float32.

    A CPU that only emulates bfloat16 is slower with it, so support is asked for, not assumed.
    """
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bfloat16" if native else "float32"


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[object]:
    """The context that a forward pass runs in."""
    if precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast(device.split(":")[0], torch.bfloat16)


def weight_format(precision: str) -> torch.dtype:
    """The number format of weights; bfloat16 is used in the forward pass only."""
    return torch.float64 if precision == "float64" else torch.float32
