"""Settings of a process that trains: the same bits again, and no memory asked for twice."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of ``mallopt``, from glibc's malloc.h."""

_CONTEXT_BYTES = 2**29
"""What CUDA takes of a GPU for each process, beside its tensors."""


def make_deterministic(threads: int) -> None:
    """Fixes what the order of sums depends on: number of threads, deterministic kernels, cuBLAS's workspace.

    Without the workspace's size some versions of PyTorch refuse matrix products on a GPU, if deterministic
    (PyTorch's notes on reproducibility).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Else every new tensor is first filled with NaN: 5 % of a step, to find reads of memory nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_freed_memory()


def limit_gpu_memory(share: float) -> None:
    """Lets this process have its part of the GPU's memory and no more: a run that wants more fails alone."""
    if share < 1:
        _, total = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(max(share - _CONTEXT_BYTES / total, 0.01))


@functools.cache
def _keep_freed_memory() -> None:
    """Lets a step write where the last one wrote.

    Else glibc returns each large tensor to the kernel, which clears its pages anew for the next one: 5 to 7 %
    of a step on a CPU. Does nothing where there is no glibc.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # musl has no mallopt
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
