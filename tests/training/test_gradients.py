"""Gradients are summed over the ranks while the backward pass runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn

from learner_ray.training.distributed import GlobalBatchNorm, World
from learner_ray.training.gradients import GradientSum, _divided


class Branched(nn.Module):
    """Layers of two number formats, one that is not trained, one that gets a gradient on no rank and one on
    the first rank alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = GlobalBatchNorm(4)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.unused = nn.Linear(4, 4)
        self.sometimes = nn.Linear(4, 4)
        self.last = nn.Linear(4, 2).double()

    def forward(self, x: Tensor, *, sometimes: bool) -> Tensor:
        x = self.frozen(self.norm(self.first(x)))
        return self.last((self.sometimes(x) if sometimes else x).double()).square().sum()


def summed_alone(parameter: nn.Parameter) -> Tensor:
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
    dist.all_reduce(gradient)
    return gradient


def check(rank: int, size: int, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{out}/store", rank=rank, world_size=size)
    torch.manual_seed(0)
    network = Branched()
    world = World(rank, size)
    generator = torch.Generator().manual_seed(rank)
    x = [torch.randn(5, 3, generator=generator) for _ in range(3)]
    expected = []
    for part in x:
        network.zero_grad()
        network(part, sometimes=rank == 0).backward()
        expected.append({name: summed_alone(p) for name, p in network.named_parameters() if p.requires_grad})
    for bucket_bytes in (1, 60, 2**20):
        summed = GradientSum(network.parameters(), world, bucket_bytes)
        for part, sums in zip(x, expected, strict=True):  # used again in each step
            network.zero_grad()
            network(part, sometimes=rank == 0).backward()
            started = summed._started
            summed.finish()
            # The last layer's gradients were on their way before the backward pass had ended.
            assert started > 0 if bucket_bytes < 2**20 else started >= 0
            for name, gradient in sums.items():
                assert torch.equal(network.get_parameter(name).grad, gradient), name
        summed.close()
        network(x[0], sometimes=False).backward()  # starts no exchange that nobody would wait for
        assert summed._started == 0
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.xdist_group("worlds")
def test_the_sums_are_those_of_one_exchange_after_the_backward_pass(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(
        check, args=(2, tmp_path), nprocs=2, daemon=True, start_method="forkserver"
    )


def test_buckets_are_of_one_number_format_and_a_largest_size() -> None:
    sizes = [
        (4, torch.float32),
        (5, torch.float32),
        (1, torch.float32),
        (1, torch.float64),
        (99, torch.float64),
    ]
    parameters = [nn.Parameter(torch.zeros(n, dtype=dtype)) for n, dtype in sizes]
    assert [[len(p) for p in bucket.parameters] for bucket in _divided(parameters, 30)] == [
        [4],
        [5, 1],
        [1],
        [99],
    ]


def test_one_process_alone_has_no_hooks() -> None:
    layer = nn.Linear(2, 2)
    gradients = GradientSum(layer.parameters(), World())
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad
    gradients.finish()
    assert layer.weight.grad is before
    assert not layer.weight._post_accumulate_grad_hooks
