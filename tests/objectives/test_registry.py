"""How an objective is chosen, weighed and added."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from learner_ray.core.config import ObjectiveConfig
from learner_ray.core.errors import UserError
from learner_ray.losses import (
    OBJECTIVES,
    Batch,
    Objective,
    TrainingScores,
    build_objective,
    register,
    total_loss,
)

TRAINING = TrainingScores(torch.linspace(-2, 2, 20), torch.arange(20) // 2)


def make_batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        embeddings=torch.rand(8, 4, generator=generator).requires_grad_(),
        scores=torch.randn(8, generator=generator),
        patients=torch.arange(8) // 2,
        scans=torch.arange(8),
        predictions=torch.randn(8, generator=generator).requires_grad_(),
        order=torch.arange(8.0) % 2,
    )


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"contrastive.*siamese"):
        build_objective(ObjectiveConfig(name="triplet"), TRAINING)


def test_an_objective_of_ones_own_is_trained_like_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learner_ray.losses.OBJECTIVES", registry := dict(OBJECTIVES))

    @register
    class Norm(Objective):
        name = "norm"

        def loss(self, batch: Batch) -> Tensor:
            return batch.embeddings.square().mean()

    assert registry["norm"] is Norm
    batch = make_batch()
    config = ObjectiveConfig(name="norm")
    assert torch.equal(build_objective(config, TRAINING)(batch), batch.embeddings.square().mean())


def test_a_taken_name_is_refused() -> None:
    class Mine(Objective):
        name = "contrastive"

        def loss(self, batch: Batch) -> Tensor:
            return batch.scores.sum()

    with pytest.raises(UserError, match="contrastive"):
        register(Mine)
    assert OBJECTIVES["contrastive"] is not Mine


@pytest.mark.parametrize("mine", [int, Objective, "norm"])
def test_what_is_no_objective_is_refused(mine: type[Objective]) -> None:
    with pytest.raises(UserError, match="is no objective"):
        register(mine)


def test_total_is_the_weighted_sum() -> None:
    config = ObjectiveConfig(name="contrastive", margin=1.0, regression_weight=2.0, contrastive_weight=0.5)
    batch = make_batch()
    objective = build_objective(config, TRAINING)
    loss, terms = total_loss(objective, batch, config)
    mse = (batch.predictions - batch.scores).square().mean()
    torch.testing.assert_close(loss, 2 * mse + 0.5 * objective(batch))
    assert set(terms) == {"loss", "mse", "contrastive"}
    assert terms["contrastive"] > 0 and not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_every_input_gets_a_gradient(name: str) -> None:
    """Also a projection head that the objective does not use: data parallelism waits for it."""
    config, batch = ObjectiveConfig(name=name), make_batch()
    total_loss(build_objective(config, TRAINING), batch, config)[0].backward()
    assert batch.embeddings.grad is not None and batch.predictions.grad is not None


def test_the_mean_weight_over_training_negatives_is_one() -> None:
    config = ObjectiveConfig(name="contrastive", weighted=True)
    objective = build_objective(config, TRAINING)
    distance = (TRAINING.scores[:, None] - TRAINING.scores).abs()
    negative = (distance > config.threshold) & (TRAINING.patients[:, None] != TRAINING.patients)
    weights = distance[negative] / objective.mean_distance  # type: ignore[attr-defined]
    assert weights.mean().item() == pytest.approx(1, rel=1e-6)


def test_siamese_needs_a_band_for_same() -> None:
    with pytest.raises(UserError, match="threshold"):
        build_objective(ObjectiveConfig(name="siamese", threshold=0), TRAINING)
