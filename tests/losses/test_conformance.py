"""The rules every registered loss keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from learner_ray.core.components import LOSSES
from learner_ray.core.config import LossConfig
from learner_ray.losses import Batch, Loss, TrainingScores, build_loss, total_loss
from tests.losses.reference import REFERENCES, Plain
from tests.losses.settings import settings
from tests.static_shapes import NOT_DETERMINISTIC, OnGpu, OperationError, shapes_alone

NAMES = sorted(LOSSES.built_in)
CONFIGS = [settings(name=name, margin=0.6) for name in NAMES] + [
    settings(name="contrastive", margin=1.5, weighted=True),
    settings(name="contrastive", margin=1.5, threshold=0.0),
    settings(name="rank_n_contrast", temperature=0.5),
    settings(name="supcon", temperature=0.5, bins=3),
    settings(name="adacon", temperature=0.2, threshold=1.0),
    settings(name="siamese", boundary=1.5),
    settings(name="siamese", boundary=0.0),
]


def label(config: LossConfig) -> str:
    default = settings(name=config.name)
    changes = [f"{k}={v}" for k, v in vars(config).items() if v != getattr(default, k) and k != "margin"]
    return "-".join([config.name, *changes])


def every_config_but(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("config", [c for c in CONFIGS if c.name not in names], ids=label)


every_config = every_config_but()


def make_training(seed: int, *, whole: bool = False, scans: int = 40) -> TrainingScores:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(scans, generator=generator, dtype=torch.float64)
    patients = torch.randint(0, 15, (scans,), generator=generator)
    return TrainingScores(standardised(scores, whole), patients, change_threshold=0.7)


def standardised(scores: Tensor, whole: bool) -> Tensor:
    """Whole-number scores have ties, and standardising them leaves rounding noise on these ties."""
    return ((scores * 2).round() - 0.3) / 1.7 if whole else scores


def make_batch(
    config: LossConfig,
    seed: int,
    *,
    scans: int = 14,
    patients: int = 6,
    views: int | None = None,
    whole: bool = False,
) -> Batch:
    """Random scans in float64, each with as many views as the loss wants unless told."""
    generator = torch.Generator().manual_seed(seed)
    views = views or LOSSES.get(config.name).views
    scan = torch.arange(scans).repeat(views)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return Batch(
        embeddings=(draw(scans * views, 5) + 0.5).requires_grad_(),
        scores=standardised(draw(scans), whole)[scan],
        patients=torch.randint(0, patients, (scans,), generator=generator)[scan],
        scans=scan,
        predictions=draw(scans * views).requires_grad_(),
        order=torch.randint(0, 4, (scans,), generator=generator).double()[scan],
    )


def take(batch: Batch, index: Tensor) -> Batch:
    return Batch(
        embeddings=batch.embeddings[index],
        scores=batch.scores[index],
        patients=batch.patients[index],
        scans=batch.scans[index],
        predictions=batch.predictions[index],
        order=batch.order[index],
    )


def build(config: LossConfig, seed: int = 0, whole: bool = False) -> Loss:
    return build_loss(config, make_training(seed, whole=whole))


def test_every_loss_has_a_reference() -> None:
    assert set(REFERENCES) == set(NAMES)


@every_config
@pytest.mark.parametrize("pairs", ["between", "all", "within"])
@pytest.mark.parametrize("whole", [False, True], ids=["continuous", "whole"])
@pytest.mark.parametrize("seed", range(4))
def test_value_is_the_formula(config: LossConfig, pairs: Any, whole: bool, seed: int) -> None:
    config = replace(config, pairs=pairs)
    batch = make_batch(config, seed, views=1 + seed % 2, whole=whole)
    training = make_training(seed, whole=whole)
    expected = REFERENCES[config.name](Plain(batch, config, training))
    assert build_loss(config, training)(batch).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@every_config
@pytest.mark.parametrize("whole", [False, True], ids=["continuous", "whole"])
def test_gradient_is_that_of_finite_differences(config: LossConfig, whole: bool) -> None:
    batch, built = make_batch(config, 0, scans=8, whole=whole), build(config, whole=whole)

    def loss(embeddings: Tensor, predictions: Tensor) -> Tensor:
        return built(replace(batch, embeddings=embeddings, predictions=predictions))

    assert torch.autograd.gradcheck(loss, (batch.embeddings, batch.predictions))


@every_config
@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_batch_does_not_matter(config: LossConfig, seed: int) -> None:
    batch, loss = make_batch(config, seed), build(config)
    order = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))
    assert loss(take(batch, order)).item() == pytest.approx(loss(batch).item(), rel=1e-12)


@every_config_but("rank_n_contrast")  # its distances are in absolute units, by definition
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scale_of_the_embeddings_does_not_matter(config: LossConfig, scale: float) -> None:
    batch, loss = make_batch(config, 0), build(config)
    scaled = loss(replace(batch, embeddings=batch.embeddings * scale))
    # log_ratio adds 1e-6 to a distance before its logarithm, about a part in a thousand at the small scale.
    tolerance = 1e-2 if config.name == "log_ratio" else 1e-9
    assert scaled.item() == pytest.approx(loss(batch).item(), rel=tolerance)


@every_config_but("mse", "siamese")  # which compare nothing, and only the scans of one patient
def test_pairs_of_one_patient_do_not_count(config: LossConfig) -> None:
    scans = torch.arange(10)
    batch = take(make_batch(config, 1), scans)
    one, two = (replace(batch, patients=scans % patients) for patients in (1, 2))
    assert build(config)(one).item() == 0
    assert build(config)(two).item() > 0
    assert build(config)(two).item() != build(replace(config, pairs="all"))(two).item()


def degenerate(config: LossConfig) -> dict[str, tuple[Batch, bool]]:
    """Batches, and whether there is no pair to compare in them."""
    batch = make_batch(config, 2)
    single = make_batch(config, 2, scans=1)
    spread = torch.linspace(-9, 9, len(batch), dtype=torch.float64)
    one_patient = replace(batch, patients=torch.zeros_like(batch.patients))
    views = LOSSES.get(config.name).views
    return {
        "one scan": (single, views == 1),
        "one view of one scan": (take(single, torch.tensor([0])), True),
        "one patient": (one_patient, views == 1 and config.name != "siamese"),
        "equal scores": (replace(batch, scores=torch.zeros_like(batch.scores)), config.name == "log_ratio"),
        "no positive": (replace(batch, scores=spread), False),
        "no negative": (replace(batch, scores=batch.scores * 1e-6), False),
        "outlying scores": (replace(batch, scores=batch.scores * 1e4), False),
        "repeated embeddings": (
            replace(batch, embeddings=batch.embeddings[:1].expand(len(batch), -1)),
            False,
        ),
        "zero embeddings": (replace(batch, embeddings=batch.embeddings * 0), False),
        "large embeddings": (replace(batch, embeddings=batch.embeddings * 1e4), False),
        "large predictions": (replace(batch, predictions=batch.predictions * 1e4), False),
    }


@every_config
@pytest.mark.parametrize("case", degenerate(CONFIGS[0]))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_degenerate_batches_stay_finite(config: LossConfig, case: str, dtype: torch.dtype) -> None:
    batch, empty = degenerate(config)[case]
    embeddings = batch.embeddings.detach().to(dtype).requires_grad_()
    predictions = batch.predictions.detach().to(dtype).requires_grad_()
    loss = build(config)(replace(batch, embeddings=embeddings, predictions=predictions))
    loss.backward()
    assert loss.isfinite()
    if empty:
        assert loss.item() == 0
    assert embeddings.grad is not None and embeddings.grad.isfinite().all()
    assert predictions.grad is None or predictions.grad.isfinite().all()


@pytest.mark.parametrize("seed", range(5))
def test_rank_n_contrast_sees_only_the_order_of_score_distances(seed: int) -> None:
    """Ties of whole-number scores survive the rounding of standardisation."""
    config = settings(name="rank_n_contrast")
    batch, loss = make_batch(config, seed, whole=False), build(config)
    whole = (batch.scores * 4).round()
    standard = ((whole - 1.234) / 5.678).float()
    expected = loss(replace(batch, scores=whole)).item()
    assert loss(replace(batch, scores=standard)).item() == pytest.approx(expected, rel=1e-12)


@every_config
def test_bfloat16_is_computed_in_float32(config: LossConfig) -> None:
    batch, loss = make_batch(config, 3), build(config)
    half = replace(batch, embeddings=batch.embeddings.bfloat16(), predictions=batch.predictions.bfloat16())
    single = replace(half, embeddings=half.embeddings.float(), predictions=half.predictions.float())
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(single))


@every_config
def test_float32_agrees_with_float64(config: LossConfig) -> None:
    batch, loss = make_batch(config, 4), build(config)
    single = replace(batch, embeddings=batch.embeddings.float(), predictions=batch.predictions.float())
    assert loss(single).item() == pytest.approx(loss(batch).item(), rel=1e-4, abs=1e-6)


class LargestTensor(TorchDispatchMode):
    """Records the most elements any operation, forward or backward, returned."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return result


@every_config
def test_memory_grows_with_the_square_of_the_batch(config: LossConfig) -> None:
    batch, loss = make_batch(config, 5, scans=60), build(config)
    with LargestTensor() as largest:
        loss(batch).backward()
    assert 0 < largest.elements <= len(batch) ** 2


def step_on_gpu(loss: Loss, batch: Batch) -> set[str]:
    """The operations of a loss, forward and backward, where everything but itself lies on a GPU."""
    there = Batch(**{name: value.detach().to("meta") for name, value in vars(batch).items()})
    there.embeddings.requires_grad_()
    there.predictions.requires_grad_()
    with shapes_alone(), OnGpu() as operations:
        total_loss(loss, there, loss.config)[0].backward()
    return operations.names


@every_config
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_a_cuda_graph_can_hold_it_and_it_is_deterministic(config: LossConfig, dtype: torch.dtype) -> None:
    """No number is read by the host, no shape depends on the data, no tensor lies on the CPU."""
    batch, loss = make_batch(config, 0), build(config).to("meta")
    embeddings, predictions = batch.embeddings.to(dtype), batch.predictions.to(dtype)
    scores = batch.scores.float()  # as they are in training, in any precision
    operations = step_on_gpu(
        loss, replace(batch, embeddings=embeddings, predictions=predictions, scores=scores)
    )
    assert len(operations) > 5 and not operations & NOT_DETERMINISTIC


class OneOperation(Loss):
    """A loss that does one thing which the rule refuses."""

    name = "one_operation"
    refused: Any

    def compute(self, batch: Batch) -> Tensor:
        return self.refused(batch.embeddings, batch.scores, self.training.scores) * 1.0


REFUSED = {
    "index": lambda u, y, known: u[y > 0].sum(),
    "masked_select": lambda u, y, known: u.masked_select((y > 0)[:, None]).sum(),
    "nonzero": lambda u, y, known: (y > 0).nonzero().sum(),
    "_unique2": lambda u, y, known: u.sum() * len(y.unique()),
    "_local_scalar_dense": lambda u, y, known: u.sum() * y.sum().item(),
    "a tensor on the host": lambda u, y, known: u.sum() * torch.tensor([2.0]).to(u.device)[0],
    "_to_copy": lambda u, y, known: u.sum() + known.cpu().to(u.device).sum(),
    "cumsum": lambda u, y, known: u.cumsum(0).sum(),
    "median": lambda u, y, known: u.median(0).values.sum(),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_the_rule_refuses(reason: str) -> None:
    loss = OneOperation(settings(name="mse"), make_training(0)).to("meta")
    loss.refused = REFUSED[reason]  # type: ignore[attr-defined]
    with pytest.raises(OperationError, match=reason):
        step_on_gpu(loss, make_batch(settings(name="mse"), 0))


def test_a_loss_that_was_not_moved_is_refused() -> None:
    """What it computed from the training set lies on the CPU."""
    with pytest.raises((OperationError, RuntimeError), match=r"host|device"):
        step_on_gpu(build(settings(name="supcon")), make_batch(settings(name="supcon"), 0))
