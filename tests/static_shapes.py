"""The rule that a CUDA graph sets a training step, checked without a GPU.

A graph is recorded once and replayed: what it holds must not read a number on the host, have a shape that
depends on the data, or fetch a tensor from the CPU. Tensors of PyTorch's device ``meta`` have shapes but no
numbers, and stand for those of a GPU: what goes from one device to another, forward and backward, can be seen
on a build for CPUs. Fake tensors of the device ``cuda`` cannot be used, since such a build ends the process
when they are differentiated (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

READS = {"_local_scalar_dense", "is_nonzero", "equal"}
DATA_DEPENDENT_SHAPES = {
    "nonzero",
    "masked_select",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_"}

NOT_DETERMINISTIC = {
    "adaptive_max_pool2d_backward",
    "avg_pool3d_backward",
    "_adaptive_avg_pool2d_backward",
    "_adaptive_avg_pool3d_backward",
    "fractional_max_pool2d_backward",
    "fractional_max_pool3d_backward",
    "max_unpool2d",
    "max_unpool3d",
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_bicubic2d_backward",
    "upsample_trilinear3d_backward",
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "nll_loss2d_forward",
    "_ctc_loss_backward",
    "put_",
    "histc",
    "median",
    "nanmedian",
    "grid_sampler_2d_backward",
    "grid_sampler_3d_backward",
    "cumsum",
    "cumsum_",
    "scatter_reduce",
    "scatter_reduce_",
}
"""What raises an error on a GPU under ``torch.use_deterministic_algorithms``: the list in its documentation
(torch 2.13) under ATen's names. Some only with an argument that is not looked at here, as ``cumsum`` of
floating-point numbers. ``scatter_add``, the gradient of ``gather``, is not among them: it becomes
``index_put``, which sorts."""


class OperationError(AssertionError):
    """An operation that a CUDA graph or a deterministic GPU refuses."""


class OnGpu(TorchDispatchMode):
    """Refuses, of a step on the device ``meta``, what a CUDA graph cannot hold and what has no deterministic
    form on a GPU.

    Raises:
        OperationError: with the operation's name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        """The operations that were seen."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name: str = func._schema.name.removeprefix("aten::")
        self.names.add(name)
        if name in READS:
            raise OperationError(f"{name}: the host reads a number")
        if name in DATA_DEPENDENT_SHAPES or (name in INDEXING and _has_mask(args[1])):
            raise OperationError(f"{name}: the shape of its result depends on the data")
        if name in NOT_DETERMINISTIC:
            raise OperationError(f"{name}: not deterministic on a GPU")
        if kwargs.get("device") == torch.device("cpu") or _on_host((args, kwargs)):
            raise OperationError(f"{name}: a tensor on the host")
        result = func(*args, **kwargs)
        if _on_host(result):
            raise OperationError(f"{name}: a tensor on the host")
        return result


def _has_mask(indices: Any) -> bool:
    return any(index.dtype in (torch.bool, torch.uint8) for index in _tensors(indices))


def _on_host(values: Any) -> bool:
    return any(tensor.device.type == "cpu" for tensor in _tensors(values))


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in _pytree.tree_leaves(values) if isinstance(value, Tensor)]


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Lets a step run on PyTorch's device ``meta``, for which there is no autocast, not even none. Its
    operations are those that training asks for, which are deterministic where there is a choice."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with patch("torch.autocast", lambda *_, **__: nullcontext()):
            yield
    finally:
        torch.use_deterministic_algorithms(before)
