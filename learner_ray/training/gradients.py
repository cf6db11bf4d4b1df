"""Sums the gradients of all ranks while the backward pass still runs, and measures those of a loss's parts.

The last layers' gradients are ready long before the first layers', so their exchange need not wait for them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from learner_ray.training.distributed import World

BUCKET_BYTES = 25 * 2**20
"""Bytes that are exchanged together, as in PyTorch's own data parallelism: less would pay the start of an
exchange too often, more would start the first one too late."""


class GradientSum:
    """Replaces the gradients of parameters by their sums over the ranks.

    Made once for a network, before its first backward pass; :meth:`finish` is called after each of them. All
    ranks must have the same parameters in the same order. A world of one rank costs nothing.

    Args:
        parameters: those that are not trained are left out.
        world: the ranks.
        bucket_bytes: how many bytes are exchanged together at most, but for a single larger parameter.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], world: World, bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        self._buckets: list[_Bucket] = []
        self._bucket_of: dict[nn.Parameter, _Bucket] = {}
        self._hooks: list[RemovableHandle] = []
        self._started = 0
        """How many buckets have started: always the first ones."""
        if world.size == 1:
            return
        group = _process_group(dist.group.WORLD)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        # The backward pass comes to the last parameters first.
        for bucket in _divided(reversed(trained), bucket_bytes, group):
            self._buckets.append(bucket)
            for parameter in bucket.parameters:
                self._bucket_of[parameter] = bucket
                hook = parameter.register_post_accumulate_grad_hook(self._ready)  # type: ignore[no-untyped-call]
                self._hooks.append(hook)

    def finish(self) -> None:
        """Waits until every gradient is the sum over the ranks; a parameter without one counts as zeros.

        To be called on all ranks, once after each backward pass.
        """
        for bucket in self._buckets[self._started :]:
            bucket.start()
        for bucket in self._buckets:
            bucket.finish()
        self._started = 0

    def close(self) -> None:
        """Leaves later backward passes alone: to be called before one that not all ranks share."""
        for hook in self._hooks:
            hook.remove()

    def _ready(self, parameter: nn.Parameter) -> None:
        """Starts the buckets whose turn it is. In one order on all ranks, whichever is complete first: the
        ranks' exchanges are matched by their order."""
        self._bucket_of[parameter].missing.discard(parameter)
        while self._started < len(self._buckets) and not self._buckets[self._started].missing:
            self._buckets[self._started].start()
            self._started += 1


@dataclass
class _Bucket:
    """Parameters of one number format whose gradients are exchanged together."""

    parameters: list[nn.Parameter]
    group: Any
    missing: set[nn.Parameter] = field(init=False)
    """The parameters without a gradient from this backward pass yet."""

    def __post_init__(self) -> None:
        self.missing = set(self.parameters)

    def start(self) -> None:
        """Starts the exchange of a copy of the gradients."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        self._flat = torch.cat([part.reshape(-1) for part in parts])
        self._work = dist.all_reduce(self._flat, group=self.group, async_op=True)

    def finish(self) -> None:
        """Waits for the exchange and takes the sums over. On a GPU only the device waits, not the host."""
        self._work.wait()
        sums = torch.split(self._flat, [parameter.numel() for parameter in self.parameters])
        for parameter, values in zip(self.parameters, sums, strict=True):
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.copy_(values.view(parameter.shape))
        del self._flat, self._work  # the next forward pass needs the memory
        self.missing = set(self.parameters)


def _divided(parameters: Iterable[nn.Parameter], bucket_bytes: int, group: Any = None) -> list[_Bucket]:
    """Divides parameters into buckets in the given order, each of one number format."""
    parts: list[list[nn.Parameter]] = []
    size = 0
    for parameter in parameters:
        fits = bool(parts) and size + parameter.nbytes <= bucket_bytes
        if not fits or parts[-1][0].dtype != parameter.dtype:
            parts.append([])
            size = 0
        parts[-1].append(parameter)
        size += parameter.nbytes
    return [_Bucket(part, group) for part in parts]


def gradient_norms(terms: Sequence[Tensor], embeddings: Tensor, world: World) -> Tensor:
    """The length of each term's gradient at the embeddings of the global batch: float64 (number of terms,).

    The backward pass of the terms' sum can still be done. All ranks must call it together; the host waits
    for nothing.

    Args:
        terms: scalars () over the global batch, which every rank has computed.
        embeddings: (B, D), those of this rank's own clips, of which the terms were computed.
        world: the ranks.
    """
    squares = embeddings.new_zeros(len(terms), dtype=torch.float64)
    if embeddings.requires_grad:  # an encoder may have no weights to train
        found = [torch.autograd.grad(term, embeddings, retain_graph=True)[0] for term in terms]
        squares = torch.stack([gradient.double().square().sum() for gradient in found])
    return world.sum(squares).sqrt()


@functools.cache
def _process_group(world: Any) -> Any:
    """Channels of their own between all ranks, made once per process. Ranks match exchanges by their order:
    those of batch normalisation, in the same backward pass, may come between other ones on another rank."""
    return dist.new_group()
