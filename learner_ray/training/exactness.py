"""Settings under which a process computes the same bits again."""

from __future__ import annotations

import os

import torch


def settle(threads: int) -> None:
    """Fixes what the order of sums depends on: number of threads, deterministic kernels, cuBLAS's workspace.

    Without the workspace's size some versions of PyTorch refuse matrix products on a GPU, if deterministic
    (PyTorch's notes on reproducibility).
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Else every new tensor is first filled with NaN: 5 % of a step, to find reads of memory nobody wrote.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
