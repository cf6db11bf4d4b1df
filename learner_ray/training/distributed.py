"""One run on several devices, with the loss and gradients it has on one.

Every rank sees its own share of each batch. Predictions and embeddings are gathered, every rank computes the
loss over the *global* batch, and the gradients that flow back to each rank's own share are summed. A plain
data-parallel wrapper would compare the pairs within each share alone, which is another loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from learner_ray.core.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes that train one run together; the default is one process alone."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""

    @classmethod
    def current(cls) -> World:
        """The world that ``torch.distributed`` was started with in this process."""
        if not dist.is_initialized():
            return cls()
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def is_first(self) -> bool:
        """Whether this rank writes the run's files."""
        return self.rank == 0

    def shares(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Divides rows (N,) among the ranks: contiguous parts whose sizes differ by at most one; some may be
        empty."""
        return np.array_split(rows, self.size)

    def gather(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """Joins the rows of all ranks, in the order of ranks: (lengths[rank], ...) -> (sum(lengths), ...).

        This rank's rows keep their graph and the others' are constants. All ranks compute the same loss of
        the same rows, so a rank's rows have their whole gradient without further communication, and the
        gradient of a parameter is the sum over ranks, not the mean: see :class:`gradients.GradientSum`.
        """
        if self.size == 1:
            return own
        # Collectives want equal shapes: shorter shares are padded and cut again.
        padded = own.new_zeros(max(lengths), *own.shape[1:])
        padded[: len(own)] = own.detach()
        joined = padded.new_empty(self.size * len(padded), *padded.shape[1:])
        dist.all_gather_into_tensor(joined, padded)
        parts = joined.view(self.size, *padded.shape)
        rows = [part[:length] for part, length in zip(parts, lengths, strict=True)]
        rows[self.rank] = own
        return torch.cat(rows)

    def sum(self, own: Tensor) -> Tensor:
        """Adds up a tensor of all ranks, element by element: (as given) -> (as given), without a graph."""
        if self.size > 1:
            own = own.detach().clone()
            dist.all_reduce(own)
        return own

    def synchronise(self, network: nn.Module) -> None:
        """Gives all ranks the first one's weights, and batch normalisation the global batch's statistics.

        Raises:
            UserError: the network draws at random what it drops.
        """
        if self.size == 1:
            return
        _refuse_dropout(network)
        self.share_first(network)
        _synchronise_batch_norm(network)

    def share_first(self, network: nn.Module) -> None:
        """Gives all ranks the first one's weights."""
        if self.size == 1:
            return
        for tensor in network.state_dict().values():
            dist.broadcast(tensor, src=0)

    def from_first(self, value: T) -> T:
        """The value that the first rank passed, on every rank."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(
            values, src=0, device=torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
        )
        return values[0]


class GlobalBatchNorm(BatchNorm):
    """Batch normalisation of any number of dimensions over the batch of all ranks, on CPUs, where
    ``SyncBatchNorm`` has no kernel."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalises (B, C, H, W) by the statistics of all ranks' batches."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        others = [0, *range(2, x.ndim)]
        each = (slice(None), *[None] * (x.ndim - 2))  # a value per channel, for all of a scan
        count = wide.new_tensor(float(wide.numel() // wide.shape[1]))
        dist.all_reduce(count)
        mean = all_reduce(wide.sum(others)) / count  # type: ignore[no-untyped-call]
        centred = wide - mean[each]
        # Squares of centred values, in a second exchange: E[x^2] - E[x]^2 would lose the digits.
        variance = all_reduce(centred.square().sum(others)) / count  # type: ignore[no-untyped-call]
        self._track(mean.detach(), (variance * count / (count - 1)).detach())
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            normalised: Tensor = centred * (self.weight * scale)[each] + self.bias[each]
        else:
            normalised = centred * scale[each]
        return normalised.to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        # Without a momentum, the mean over all batches so far.
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(variance.to(self.running_var), momentum)

    def _check_input_dim(self, x: Tensor) -> None:
        """Nothing: a layer of the right kind stood here before."""


def _refuse_dropout(network: nn.Module) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, _DropoutNd) and layer.p > 0:
            raise UserError(
                f"{name} of the network is a {type(layer).__name__}: what it drops would depend on the "
                "number of devices. Set it to 0, or train each run on one device (--devices-per-trial 1)"
            )


def _synchronise_batch_norm(network: nn.Module) -> None:
    """Exchanges the batch normalisation of a network, keeping its parameters and their names."""
    for name, child in network.named_children():
        if isinstance(child, BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
            setattr(network, name, _over_all_ranks(child))
        else:
            _synchronise_batch_norm(child)


def _over_all_ranks(norm: BatchNorm) -> nn.Module:
    if any(tensor.is_cuda for tensor in norm.state_dict().values()):
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return synchronised
    own = GlobalBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    own.weight, own.bias = norm.weight, norm.bias
    own.running_mean, own.running_var = norm.running_mean, norm.running_var
    own.num_batches_tracked = norm.num_batches_tracked
    return own
