"""How a loss is chosen, weighed and added."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from learner_ray.cohort.score import KNOWN, Score
from learner_ray.core.components import LOSSES
from learner_ray.core.config import LossConfig, all_keys
from learner_ray.core.errors import UserError
from learner_ray.losses import (
    Batch,
    Loss,
    TrainingScores,
    build_loss,
    total_loss,
)
from learner_ray.losses.configs import TemperatureConfig
from tests.losses.settings import settings

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
        build_loss(settings(name="triplet"), TRAINING)


def test_defining_a_loss_is_enough_to_train_it() -> None:
    class Norm(Loss):
        name = "norm"

        @dataclass(frozen=True, kw_only=True)
        class Config(LossConfig):
            power: float = 2.0
            """Exponent of the norm."""

        config: Config

        def compute(self, batch: Batch) -> Tensor:
            return batch.embeddings.abs().pow(self.config.power).mean()

    batch, config = make_batch(), settings(name="norm", power="3")
    assert torch.equal(build_loss(config, TRAINING)(batch), batch.embeddings.pow(3).mean())
    assert all_keys()["loss.power"].meaning == "Exponent of the norm."
    with pytest.raises(UserError, match=r"loss\.power must be a number"):
        settings(name="norm", power="much")
    LOSSES._added.clear()
    with pytest.raises(UserError, match=r"loss\.name is 'norm'; known: adacon"):
        settings(name="norm")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(UserError, match="'contrastive' exists already"):
        type("Mine", (Loss,), {"name": "contrastive"})


def test_total_is_the_weighted_sum() -> None:
    config = settings(name="contrastive", margin=1.0, regression_weight=2.0, contrastive_weight=0.5)
    batch = make_batch()
    loss = build_loss(config, TRAINING)
    total, terms = total_loss(loss, batch, config)
    mse = (batch.predictions - batch.scores).square().mean()
    torch.testing.assert_close(total, 2 * mse + 0.5 * loss(batch))
    assert set(terms) == {"loss", "mse", "contrastive"}
    assert terms["contrastive"] > 0 and not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("name", sorted(LOSSES.built_in))
def test_every_input_gets_a_gradient(name: str) -> None:
    """Also a projection head that the loss does not use: data parallelism waits for it."""
    config, batch = settings(name=name), make_batch()
    total_loss(build_loss(config, TRAINING), batch, config)[0].backward()
    assert batch.embeddings.grad is not None and batch.predictions.grad is not None


def test_the_mean_weight_over_training_negatives_is_one() -> None:
    config = settings(name="contrastive", weighted=True)
    loss = build_loss(config, TRAINING)
    distance = (TRAINING.scores[:, None] - TRAINING.scores).abs()
    negative = (distance > config.threshold) & (TRAINING.patients[:, None] != TRAINING.patients)
    weights = distance[negative] / loss.mean_distance  # type: ignore[attr-defined]
    assert weights.mean().item() == pytest.approx(1, rel=1e-6)


def test_what_a_temperature_of_0_stands_for_is_stated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search begins with what the settings say, so the loss may not go by another value."""
    monkeypatch.setattr(LOSSES, "_added", {})
    assert build_loss(settings(name="rank_n_contrast"), TRAINING).temperature == 2
    with pytest.raises(UserError, match=r"Warm: its default_temperature is 3, but .* says 0\.07: state one"):
        type("Warm", (LOSSES.get("supcon"),), {"name": "warm", "default_temperature": 3.0})
    own = {"name": "own_warm", "Config": TemperatureConfig, "default_temperature": 3.0}
    assert type("OwnWarm", (Loss,), {**own, "compute": None})(TemperatureConfig(), TRAINING).temperature == 3


def test_siamese_needs_a_band_for_same() -> None:
    with pytest.raises(UserError, match=r"loss\.boundary.*loss\.threshold"):
        build_loss(settings(name="siamese", boundary=0, threshold=0), TRAINING)


@pytest.mark.parametrize("score", KNOWN.values(), ids=lambda score: score.name)
def test_the_classes_of_siamese_are_those_of_the_progression_pairs(score: Score) -> None:
    """To the last point, also for a change of exactly the threshold, after standardising in float32."""
    steps = torch.arange(-3, 4, dtype=torch.float64)[:, None] * score.change_threshold / 2
    earlier = torch.linspace(score.low, score.high, 50, dtype=torch.float64)
    mean, sd = 0.37 * score.high, 0.173 * score.high
    training = TrainingScores(TRAINING.scores, TRAINING.patients, score.change_threshold / sd)
    loss = build_loss(settings(name="siamese"), training)
    changes = ((earlier + steps - mean) / sd).float() - ((earlier - mean) / sd).float()
    least = loss.least_change  # type: ignore[attr-defined]
    found = 1 + (changes > least).long() - (changes < -least).long()
    rising = replace(score, healthier="higher")
    expected = torch.from_numpy(rising.classify((steps + 0 * earlier).numpy()))
    assert torch.equal(found, expected)
