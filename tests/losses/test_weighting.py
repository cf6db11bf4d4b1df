"""A balanced weight is the ratio of two gradients, whatever the loss and the scale of what it compares."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from learner_ray.core.config import LossConfig
from learner_ray.core.errors import UserError
from learner_ray.losses import Batch, Weighting, loss_terms, total_loss
from learner_ray.losses.total import Terms
from learner_ray.losses.weighting import LARGEST
from learner_ray.training.distributed import World
from learner_ray.training.gradients import gradient_norms
from tests.losses.settings import settings
from tests.losses.test_conformance import (
    CONFIGS,
    build,
    degenerate,
    every_config,
    every_config_but,
    label,
    make_batch,
)
from tests.static_shapes import NOT_DETERMINISTIC, OnGpu, shapes_alone


def balanced(config: LossConfig, **values: float) -> LossConfig:
    return replace(config, weighting="balanced", **values)  # type: ignore[arg-type]


def with_head(batch: Batch) -> tuple[Batch, Tensor]:
    """A batch whose predictions follow from its embeddings, as a network's do; and the embeddings."""
    u = batch.embeddings.detach().requires_grad_()
    w = torch.linspace(-1, 1, u.shape[1], dtype=u.dtype, device=u.device)
    return replace(batch, embeddings=u, predictions=u @ w), u


def gradient(total: Tensor, u: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(total, u, retain_graph=True)
    return found


def step(weighting: Weighting, config: LossConfig, seed: int) -> tuple[Tensor, Tensor, Terms, Tensor]:
    batch, u = with_head(make_batch(config, seed))
    terms = loss_terms(build(config), batch)
    total, strengths = weighting.total(terms, gradient_norms(terms, u, World()))
    return total, strengths, terms, u


@every_config_but("mse")  # which adds nothing
@pytest.mark.parametrize(("weight", "regression"), [(1.0, 1.0), (0.3, 2.0), (5.0, 0.1)])
def test_the_first_step_has_the_ratio_that_the_weight_says(
    config: LossConfig, weight: float, regression: float
) -> None:
    config = balanced(config, contrastive_weight=weight, regression_weight=regression)
    total, strengths, terms, u = step(Weighting(config, "cpu"), config, 3)
    own = regression * gradient(terms.regression, u)
    other = gradient(total, u) - own
    assert float(other.norm() / own.norm()) == pytest.approx(weight, rel=1e-9)
    assert strengths[:2].tolist() == pytest.approx([float(own.norm()), float(other.norm())], rel=1e-9)
    added = float((total - regression * terms.regression).detach())
    assert float((strengths[2] * terms.contrastive).detach()) == pytest.approx(added, rel=1e-9, abs=1e-12)


@every_config_but("mse")
def test_over_many_batches_the_mean_gradients_have_it(config: LossConfig) -> None:
    config = balanced(config, contrastive_weight=0.7)
    weighting = Weighting(config, "cpu")
    sums = sum(step(weighting, config, seed)[1] for seed in range(60))
    assert isinstance(sums, Tensor)
    assert float(sums[1] / sums[0]) == pytest.approx(0.7, rel=0.15)


@every_config_but("mse")
@pytest.mark.parametrize("scale", [0.01, 100.0])
def test_a_loss_multiplied_by_anything_is_the_same_loss(config: LossConfig, scale: float) -> None:
    config = balanced(config)
    one, other = Weighting(config, "cpu"), Weighting(config, "cpu")
    _, _, terms, u = step(one, config, 0)
    scaled = Terms(terms.regression, scale * terms.contrastive)
    first = Weighting(config, "cpu").total(terms, gradient_norms(terms, u, World()))[0]
    second = other.total(scaled, gradient_norms(scaled, u, World()))[0]
    torch.testing.assert_close(gradient(second, u), gradient(first, u), rtol=1e-9, atol=1e-12)


@every_config
def test_raw_weights_give_the_bits_of_the_plain_sum(config: LossConfig) -> None:
    config = replace(config, contrastive_weight=0.3, regression_weight=0.7)
    batch, u = with_head(make_batch(config, 1))
    batch = replace(batch, embeddings=u.float(), predictions=batch.predictions.float())
    terms = loss_terms(build(config), batch)
    total, _ = Weighting(config, "cpu").total(terms, torch.ones(2, dtype=torch.float64))
    plain, _ = total_loss(build(config), batch, config)
    assert torch.equal(total, plain) and torch.equal(gradient(total, u), gradient(plain, u))


def factors(norms: list[tuple[float, float]], **values: float) -> list[float]:
    weighting = Weighting(balanced(settings(name="contrastive"), **values), "cpu")
    zero = Terms(torch.zeros(()), torch.zeros(()))
    return [float(weighting.total(zero, torch.tensor(pair, dtype=torch.float64))[1][2]) for pair in norms]


def test_a_step_without_a_pair_changes_nothing() -> None:
    """Counted as zero, it would make the next step with a pair stronger."""
    assert factors([(1, 2), (1, 0), (1, 0), (1, 2)]) == pytest.approx([0.5] * 4)


def test_a_step_whose_regression_is_fitted_changes_nothing() -> None:
    assert factors([(1, 2), (0, 2), (0, 2), (1, 2)]) == pytest.approx([0.5] * 4)


def test_until_both_have_had_a_gradient_nothing_is_added() -> None:
    assert factors([(1, 0), (1, 0), (1, 4)]) == pytest.approx([0, 0, 0.25])
    assert factors([(0, 4), (1, 4)]) == pytest.approx([0, 0.25])


def test_what_has_all_but_vanished_is_not_made_noise() -> None:
    assert factors([(1, 1e-12)], contrastive_weight=2.0) == [2 * LARGEST]


@given(
    st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3)), min_size=1, max_size=30),
    st.floats(1e-3, 1e3),
)
@examples(max_examples=50)
def test_a_factor_is_always_a_number(norms: list[tuple[float, float]], weight: float) -> None:
    found = factors(norms, contrastive_weight=weight)
    assert all(math.isfinite(factor) and 0 <= factor <= weight * LARGEST for factor in found)


def test_means_go_on_where_they_were_saved() -> None:
    config = balanced(settings(name="supcon"))
    whole, cut, resumed = (Weighting(config, "cpu") for _ in range(3))
    expected = [step(whole, config, seed)[0] for seed in range(4)]
    for seed in (0, 1):
        step(cut, config, seed)
    resumed.load_state_dict(cut.state_dict())
    assert all(torch.equal(step(resumed, config, seed)[0], expected[seed]) for seed in (2, 3))
    assert Weighting(settings(name="supcon"), "cpu").state_dict() == {}
    with pytest.raises(KeyError):
        resumed.load_state_dict({})


def test_without_regression_there_is_nothing_to_measure_by() -> None:
    with pytest.raises(UserError, match=r"loss.regression_weight=0 leaves nothing: use loss.weighting=raw"):
        settings(name="supcon", weighting="balanced", regression_weight=0.0)


@every_config
@pytest.mark.parametrize("case", degenerate(CONFIGS[0]))
def test_balanced_stays_finite_on_degenerate_batches(config: LossConfig, case: str) -> None:
    config = balanced(config)
    batch, u = with_head(degenerate(config)[case][0])
    terms = loss_terms(build(config), batch)
    total, strengths = Weighting(config, "cpu").total(terms, gradient_norms(terms, u, World()))
    assert total.isfinite() and strengths.isfinite().all() and gradient(total, u).isfinite().all()


@pytest.mark.parametrize("weighting", ["raw", "balanced"])
@pytest.mark.parametrize("config", CONFIGS, ids=label)
def test_a_cuda_graph_can_hold_the_whole_loss(config: LossConfig, weighting: str) -> None:
    config = replace(config, weighting=weighting)  # type: ignore[arg-type]
    made = make_batch(config, 0)
    loss, weighed = build(config).to("meta"), Weighting(config, "meta")
    there = Batch(**{name: value.detach().to("meta") for name, value in vars(made).items()})
    with shapes_alone(), OnGpu() as operations:
        u = there.embeddings.requires_grad_()
        terms = loss_terms(loss, replace(there, predictions=u.sum(1)))
        weighed.total(terms, gradient_norms(terms, u, World()))[0].backward()
    assert not operations.names & NOT_DETERMINISTIC


def test_an_encoder_without_weights_to_train_has_no_gradient_to_measure() -> None:
    terms = (torch.zeros((), requires_grad=True), torch.zeros((), requires_grad=True))
    assert gradient_norms(terms, torch.ones(3, 2), World()).tolist() == [0, 0]
