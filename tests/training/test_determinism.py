"""What the optimiser's step computes has a deterministic form on a GPU; losses and encoders have their own
tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from learner_ray.core.config import TrainConfig
from learner_ray.training.step import _optimizer
from tests.static_shapes import NOT_DETERMINISTIC


class Names(TorchDispatchMode):
    """The operations that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func._schema.name.removeprefix("aten::"))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_clipping_and_the_optimiser_are_deterministic_on_a_gpu(optimizer: Any) -> None:
    network = nn.Linear(3, 2)
    network(torch.ones(1, 3)).sum().backward()
    with Names() as names:
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        _optimizer(network, replace(TrainConfig(), optimizer=optimizer), torch.tensor(1e-3)).step()
    assert f"_fused_{optimizer}_" in names.seen and not names.seen & NOT_DETERMINISTIC
