"""The network: against independent ResNets, its seeds, shapes and precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks.nets.resnet import resnet18, resnet34, resnet50
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from learner_ray.core.config import EncoderConfig
from learner_ray.encoders import Network, build_network, resnet
from learner_ray.encoders.resnet import TsmResNet, TsmResNet18, TsmResNet34, TsmResNet50
from learner_ray.training.precision import autocast, weight_format

pytestmark = pytest.mark.slow


def randomise_statistics(module: nn.Module) -> None:
    """Running statistics other than zero and one, so that mixing them up shows."""
    generator = torch.Generator().manual_seed(1)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.ndim == 1:
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.data = 0.5 + noise if name.endswith(("var", "weight")) else noise - 0.5


ORACLES = {TsmResNet18: resnet18, TsmResNet34: resnet34, TsmResNet50: resnet50}


def make_encoder(
    norm: Any = "batch", kind: type[TsmResNet] = TsmResNet18, fraction: float = 0.0, channels: int = 1
) -> TsmResNet:
    """An encoder of single pictures."""
    return kind(EncoderConfig(shift_fraction=fraction, norm=norm), 1, channels)


def make_pair(norm: Any = "batch", kind: type[TsmResNet] = TsmResNet18) -> tuple[TsmResNet, nn.Module]:
    """Our encoder without shift and MONAI's ResNet, of the same weights."""
    torch.manual_seed(0)
    oracle = ORACLES[kind](
        spatial_dims=2, n_input_channels=1, conv1_t_stride=2, bias_downsample=False, feed_forward=False
    )
    randomise_statistics(oracle)
    encoder = make_encoder(norm, kind)
    missing, unexpected = encoder.load_state_dict(oracle.state_dict(), strict=False)
    assert not missing
    assert all(name.endswith("num_batches_tracked") for name in unexpected)
    return encoder, oracle


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k is TsmResNet18 else pytest.mark.long) for k in ORACLES]
)
@pytest.mark.parametrize("training", [False, True])
def test_equals_an_independent_resnet(training: bool, kind: type[TsmResNet]) -> None:
    """In float64, since a rectified unit that rounding moves across zero changes a float32 gradient."""
    encoder, oracle = (module.double().train(training) for module in make_pair(kind=kind))
    x = torch.randn(3, 1, 64, 64, dtype=torch.float64)
    result, expected = encoder(x), oracle(x)
    torch.testing.assert_close(result, expected)
    result.square().sum().backward()
    expected.square().sum().backward()
    gradients = {name: p.grad for name, p in oracle.named_parameters()}
    for name, parameter in encoder.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])


def test_frozen_is_evaluation_mode_for_good() -> None:
    encoder, oracle = make_pair("frozen")
    x = torch.randn(3, 1, 64, 64)
    torch.testing.assert_close(encoder.train()(x), oracle.eval()(x), rtol=1e-5, atol=1e-5)
    assert all(parameter.ndim == 4 for parameter in encoder.parameters())


def test_partial_normalises_the_first_layer_by_the_batch_and_no_other() -> None:
    encoder, oracle = make_pair("partial")
    x = torch.randn(3, 1, 64, 64)
    oracle.eval().bn1.train()  # type: ignore[operator, union-attr]
    torch.testing.assert_close(encoder.train()(x), oracle(x), rtol=1e-5, atol=1e-5)
    assert [name for name, p in encoder.named_parameters() if p.ndim == 1] == ["bn1.weight", "bn1.bias"]


PUBLISHED = {
    TsmResNet18: (11_689_512 - 513_000, 1.814),
    TsmResNet34: (21_797_672 - 513_000, 3.664),
    TsmResNet50: (25_557_032 - 2_049_000, 4.089),
}
"""Parameters without the classifier and billions of multiplications of a picture of 224 x 224 in colour, as
torchvision states them."""


@pytest.mark.parametrize("kind", PUBLISHED)
def test_size_and_cost_are_those_published(kind: type[TsmResNet]) -> None:
    parameters, multiplications = PUBLISHED[kind]
    with torch.device("meta"):
        encoder = make_encoder(kind=kind, channels=3)
        picture = torch.empty(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counted:
        features = encoder.features(picture)
    assert features.shape == (1, encoder.width)
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    assert counted.get_total_flops() / 2e9 == pytest.approx(multiplications, rel=2e-3)


def watch_shift(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes that pass through the shift from now on."""
    shift = resnet.temporal_shift
    seen: list[tuple[int, ...]] = []

    def watched(x: Tensor, frames: int, fraction: float) -> Tensor:
        seen.append(tuple(x.shape))
        return shift(x, frames, fraction)

    monkeypatch.setattr(resnet, "temporal_shift", watched)
    return seen


def test_every_block_shifts_and_none_at_fraction_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watch_shift(monkeypatch)
    Network(EncoderConfig(shift_fraction=0.25), 4)(torch.randn(1, 4, 32, 32))
    assert [shape[1] for shape in seen] == [64, 64, 64, 128, 128, 256, 256, 512]
    seen.clear()
    Network(EncoderConfig(shift_fraction=0), 4)(torch.randn(1, 4, 32, 32))
    assert not seen


def test_without_shift_the_order_of_frames_does_not_matter_and_with_it_does() -> None:
    x = torch.randn(2, 4, 32, 32)
    for fraction, equal in ((0.0, True), (0.25, False)):
        network = build_network(EncoderConfig(shift_fraction=fraction), 4, seed=0).eval()
        forwards, backwards = network(x).embedding, network(x.flip(1)).embedding
        assert torch.allclose(forwards, backwards, rtol=1e-4, atol=1e-4) == equal


def test_clips_of_a_batch_do_not_mix() -> None:
    network = build_network(EncoderConfig(), 4, seed=0).eval()
    x = torch.randn(3, 4, 32, 32)
    together = network(x).embedding
    apart = torch.cat([network(clip[None]).embedding for clip in x])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(2, 5, 32, 32), (8, 32, 32), (2, 4, 1, 32, 32)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Network(EncoderConfig(), 4)(torch.zeros(shape))


@pytest.mark.parametrize("projection_dim", [0, 16])
@pytest.mark.parametrize("norm", ["batch", "partial", "frozen", "group"])
@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_trains_in_all_precisions(norm: Any, projection_dim: int, precision: str) -> None:
    network = build_network(EncoderConfig(norm=norm, projection_dim=projection_dim), 4, seed=0)
    network.to(weight_format(precision))
    with autocast(precision, "cpu"):
        output = network(torch.randn(2, 4, 32, 32))
    assert output.embedding.shape == (2, 512)
    assert output.score.shape == (2,)
    assert output.projection.shape == (2, projection_dim or 512)
    assert {value.dtype for value in output} == {weight_format(precision)}
    (output.score.sum() + output.projection.square().sum()).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


def test_seed_alone_decides_the_weights() -> None:
    state = torch.get_rng_state()
    first = build_network(EncoderConfig(), 4, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)
    again, other = (build_network(EncoderConfig(), 4, seed=seed).state_dict() for seed in (7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.conv1.weight"], other["encoder.conv1.weight"])


def test_arms_start_from_the_same_encoder() -> None:
    variants = [
        EncoderConfig(),
        EncoderConfig(shift_fraction=0, projection_dim=64),
        EncoderConfig(norm="group"),
        EncoderConfig(norm="frozen"),
    ]
    weights = [
        build_network(config, 4, seed=0).encoder.layer4.get_parameter("1.conv2.weight") for config in variants
    ]
    assert all(torch.equal(weights[0], other) for other in weights[1:])


def test_features_stay_channels_last() -> None:
    network = build_network(EncoderConfig(), 4, seed=0)
    layouts = []
    for stage in (network.encoder.conv1, network.encoder.layer1, network.encoder.layer4):
        stage.register_forward_hook(
            lambda module, inputs, out: layouts.append(out.is_contiguous(memory_format=torch.channels_last))
        )
    network(torch.randn(2, 4, 64, 64))
    assert layouts == [True] * 3
