"""Settings of a process that trains: reproducible results, and quick use of memory."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of ``mallopt``, from glibc's malloc.h."""

_CONTEXT_BYTES = 2**29
"""Bytes that CUDA takes of a GPU for each process, beside its tensors."""


def make_deterministic(threads: int, *, deterministic: bool = True) -> None:
    """Makes this process compute the same bits again: fixes the number of threads, deterministic kernels and
    cuBLAS's workspace, on which the order of sums depends.

    Without the workspace's size some versions of PyTorch refuse matrix products on a GPU, if deterministic
    (PyTorch's notes on reproducibility).

    Args:
        threads: of the processor, for one operation.
        deterministic: ``train.deterministic``; False lets a GPU choose the fastest kernels instead.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    # Else every new tensor is first filled with NaN: 5 % of a step, to find reads of memory nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_freed_memory()


def training_device() -> str:
    """The device that a run trains on in this process: ``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def keep_to_share(share: float) -> None:
    """Limits this process to its share of the GPU's memory, so that a run that needs more fails alone.

    Args:
        share: fraction of the GPU's memory, 0 to 1.
    """
    if share < 1:
        _, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(max(share - _CONTEXT_BYTES / total, 0.01))


def memory_limit() -> int:
    """Bytes of the GPU's memory that this process may use for its tensors."""
    _, total = torch.cuda.mem_get_info()
    return int(total * torch.cuda.get_per_process_memory_fraction())


@functools.cache
def _keep_freed_memory() -> None:
    """Lets a training step reuse the memory of the last one.

    By default glibc returns each large tensor to the kernel, which clears its pages anew for the next one: 5
    to 7 % of a step on a CPU. Does nothing where there is no glibc."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # musl has no mallopt
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
