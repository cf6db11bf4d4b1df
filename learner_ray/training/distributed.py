"""One run on several devices, with the loss and gradients it has on one.

Every rank sees its own share of each batch. Predictions and embeddings are gathered, every rank computes the
loss over the *global* batch, and the gradients that flow back to each rank's own share are summed. A plain
data-parallel wrapper would compare the pairs within each share alone, which is another loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes that train one run together; the default is one process alone."""

    rank: int = 0
    size: int = 1

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
        """Deals rows out to the ranks: contiguous parts, sizes differing by one at most, some maybe empty."""
        return np.array_split(rows, self.size)

    def gather(self, own: Tensor, lengths: Sequence[int]) -> Tensor:
        """(lengths[rank], ...) of every rank -> (sum(lengths), ...), by rank.

        This rank's rows keep their graph and the others' are constants. All ranks compute the same loss of
        the same rows, so a rank's rows have their whole gradient without further communication, and the
        gradient of a parameter is the sum over ranks, not the mean: see :meth:`sum_gradients`.
        """
        if self.size == 1:
            return own
        # Collectives want equal shapes: shorter shares are padded and cut again.
        padded = own.new_zeros(max(lengths), *own.shape[1:])
        padded[: len(own)] = own.detach()
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        rows = [part[:length] for part, length in zip(parts, lengths, strict=True)]
        rows[self.rank] = own
        return torch.cat(rows)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by its sum over the ranks."""
        if self.size == 1:
            return
        trained = [p for p in parameters if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for p, gradient, part in zip(trained, gradients, parts, strict=True):
            p.grad = gradient.copy_(part.view(gradient.shape))

    def synchronise(self, network: nn.Module) -> None:
        """Gives all ranks the first one's weights, and batch normalisation the global batch's statistics."""
        if self.size == 1:
            return
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


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation over the batch of all ranks, on CPUs, where ``SyncBatchNorm`` has no kernel."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_tensor(float(wide.numel() // wide.shape[1]))
        dist.all_reduce(count)
        mean = all_reduce(wide.sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        centred = wide - mean[:, None, None]
        # Squares of centred values, in a second exchange: E[x^2] - E[x]^2 would lose the digits.
        variance = all_reduce(centred.square().sum((0, 2, 3))) / count  # type: ignore[no-untyped-call]
        self._track(mean.detach(), (variance * count / (count - 1)).detach())
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(x.dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)


def _synchronise_batch_norm(network: nn.Module) -> None:
    """Exchanges the batch normalisation of a network, keeping its parameters and their names."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(network, name, _over_all_ranks(child))
        else:
            _synchronise_batch_norm(child)


def _over_all_ranks(norm: nn.BatchNorm2d) -> nn.Module:
    if norm.weight.is_cuda:
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
        return synchronised
    own = GlobalBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
    own.weight, own.bias = norm.weight, norm.bias
    own.running_mean, own.running_var = norm.running_mean, norm.running_var
    own.num_batches_tracked = norm.num_batches_tracked
    return own
