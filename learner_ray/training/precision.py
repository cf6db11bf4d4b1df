"""Which number format a machine trains fastest in."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch


def fastest_precision(device: str) -> Literal["float32", "bfloat16"]:
    """What ``auto`` is on a device: bfloat16 where it computes in it natively, else float32.

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
    """The numbers that weights are kept in; bfloat16 is of the forward pass alone."""
    return torch.float64 if precision == "float64" else torch.float32
