"""A step is computed on the device, and the host reads nothing before the epoch has ended."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from learner_ray.core.components import LOSSES
from learner_ray.losses import total_loss
from learner_ray.training.graph import GraphedStep
from learner_ray.training.step import MEANS, DivergedError, TrainingStep
from tests.training.steps import config_of, make_inputs, make_step

READS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique", "is_nonzero", "equal.default")
"""Operations whose result, or its shape, the host has to wait for."""


class Operations(TorchDispatchMode):
    """Names of all operations of PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = (
            [i for i in args[1] if i is not None and i.dtype == torch.bool]
            if str(func).startswith("aten.index.")
            else []
        )
        self.names.append(f"{func} nonzero" if masks else str(func))
        return func(*args, **(kwargs or {}))


def reads(names: list[str]) -> list[str]:
    return [name for name in names if any(read in name for read in READS)]


@pytest.mark.parametrize("weighting", ["raw", "balanced"])
@pytest.mark.parametrize(
    ("loss", "optimizer"), [*((loss, "adamw") for loss in sorted(LOSSES.built_in)), ("mse", "sgd")]
)
def test_no_step_is_read_by_the_host(loss: str, optimizer: str, weighting: str) -> None:
    step = make_step(config_of(loss_name=loss, train_optimizer=optimizer, loss_weighting=weighting))
    with Operations() as seen:
        for inputs in make_inputs(step, [4, 5]):
            step(inputs)
    assert any("convolution" in name for name in seen.names)
    assert reads(seen.names) == []


def test_a_read_would_be_noticed() -> None:
    with Operations() as seen:
        float(torch.ones(2).sum())
        torch.ones(2)[torch.tensor([True, False])]
    assert len(reads(seen.names)) == 2


def test_means_weight_each_step_by_its_scans() -> None:
    config = config_of(loss_name="rank_n_contrast", train_lr=1e-3)
    one = make_step(config)
    single = []
    for inputs in make_inputs(one, [4, 6]):
        one(inputs)
        single.append(one.read_means(1))
    whole = make_step(config)
    for inputs in make_inputs(whole, [4, 6]):
        whole(inputs)
    means = whole.read_means(10)
    assert set(means) == {*MEANS, "gradient_ratio"}
    for name in MEANS:
        assert means[name] == pytest.approx(sum(step[name] for step in single) / 10, rel=1e-12)
    ratio = means["contrastive_gradient"] / means["regression_gradient"]
    assert means["gradient_ratio"] == pytest.approx(ratio, rel=1e-12)
    anew = whole.read_means(10)
    assert math.isnan(anew.pop("gradient_ratio")) and set(anew.values()) == {0.0}, "reading begins anew"


def gradients_of(step: TrainingStep, sizes: list[int]) -> list[torch.Tensor]:
    for inputs in make_inputs(step, sizes):
        step.backward(inputs)
    return [p.grad for p in step.network.parameters() if p.grad is not None]


def test_measuring_the_gradients_of_both_terms_leaves_the_step_s_own_as_they_are() -> None:
    """To the bit: runs of versions that did not measure them keep their hash."""
    config = config_of(loss_name="supcon", loss_contrastive_weight=0.3, encoder_projection_dim=8)
    plain = make_step(config)
    (inputs,) = make_inputs(plain, [6])
    total_loss(plain.loss, plain.outputs(inputs)[0], config.loss)[0].backward()
    expected = [p.grad for p in plain.network.parameters() if p.grad is not None]
    for found, wanted in zip(gradients_of(make_step(config), [6]), expected, strict=True):
        assert torch.equal(found, wanted)


def test_a_balanced_step_without_a_contrastive_term_is_the_raw_one() -> None:
    raw, balanced = (make_step(config_of(loss_weighting=name)) for name in ("raw", "balanced"))
    for found, wanted in zip(gradients_of(balanced, [6]), gradients_of(raw, [6]), strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize(("loss", "views", "clips"), [("mse", 0, 4), ("mse", 2, 8), ("supcon", 0, 8),
                                                      ("supcon", 1, 4), ("supcon", 2, 8)])  # fmt: skip
def test_views_are_a_setting_of_every_loss(loss: str, views: int, clips: int) -> None:
    step = make_step(config_of(loss_name=loss, loss_views=views))
    (inputs,) = make_inputs(step, [4])
    assert len(inputs.clips) == clips
    step(inputs)
    means = step.read_means(4)
    assert means["mse"] > 0, "a scan counts once, however many views there are of it"


def test_the_learning_rate_of_each_step_is_used() -> None:
    step = make_step(config_of(train_weight_decay=0.0))
    still = [p.clone() for p in step.network.parameters()]
    graphed = GraphedStep(step, None)
    first, second = make_inputs(step, [4, 4])
    graphed(first, torch.tensor(0.0))
    assert all(torch.equal(a, b) for a, b in zip(still, step.network.parameters(), strict=True))
    graphed(second, torch.tensor(1e-3))
    assert not all(torch.equal(a, b) for a, b in zip(still, step.network.parameters(), strict=True))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_told_at_the_end_of_the_epoch(value: float) -> None:
    step = make_step(config_of())
    with torch.no_grad():
        step.network.score.bias.fill_(value)
    for inputs in make_inputs(step, [4, 4]):
        step(inputs)
    with pytest.raises(DivergedError, match=r"the loss is (nan|inf)"):
        step.read_means(8)


def test_a_gradient_that_is_no_number_is_told_too() -> None:
    step = make_step(config_of(train_clip=1.0))
    step.network.score.weight.register_hook(lambda gradient: gradient * float("inf"))
    (inputs,) = make_inputs(step, [4])
    step(inputs)
    with pytest.raises(DivergedError, match="the norm of the gradient is"):
        step.read_means(4)


def test_a_loaded_optimiser_keeps_the_tensor_of_the_learning_rate() -> None:
    step, other = make_step(config_of()), make_step(config_of())
    (inputs,) = make_inputs(step, [4])
    step.set_lr(torch.tensor(1e-3))
    step(inputs)
    other.load_optimizer(copy.deepcopy(step.optimizer.state_dict()))
    other.network.load_state_dict(step.network.state_dict())
    for one in (step, other):
        one.set_lr(torch.tensor(5e-4))
        one(inputs)
    for a, b in zip(step.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)


HEAVY = ("pandas", "sklearn", "scipy", "decord", "ray", "nibabel", "optuna")


def test_the_step_needs_no_tables_and_no_readers() -> None:
    code = "import sys, learner_ray.training.graph, learner_ray.training.frames; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.partition(".")[0] for name in done.stdout.split()} & set(HEAVY)
