"""What every encoder that comes with the package must do."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from learner_ray.core import registry
from learner_ray.core.components import ENCODERS
from learner_ray.core.config import Config, EncoderConfig, all_keys
from learner_ray.core.errors import UserError
from learner_ray.encoders import FrameEncoder, Network, build_network
from learner_ray.encoders.network import network_bytes
from learner_ray.encoders.normalisation import BATCH_NORMS
from learner_ray.run.spec import Source
from learner_ray.run.user_code import with_code
from learner_ray.training.distributed import _synchronise_batch_norm
from learner_ray.training.precision import autocast, weight_format
from learner_ray.training.tensors import read_tensors, write_tensors
from tests.static_shapes import NOT_DETERMINISTIC, OnGpu, OperationError, shapes_alone

QUICK = ("tsm_resnet18", "monai_resnet18", "monai_resnet18_3d")
"""One of each kind of network; the larger ones, which share its code, are among the long tests."""
NAMES = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(
                bool(built_in.package) and importlib.util.find_spec(built_in.package) is None,
                reason=f"{built_in.package} is not installed",
            ),
            *([] if name in QUICK else [pytest.mark.long]),
        ],
    )
    for name, built_in in ENCODERS.built_in.items()
]
FRAMES = 4

pytestmark = pytest.mark.slow
every_encoder = pytest.mark.parametrize("name", NAMES)


def settings(name: str, **values: Any) -> EncoderConfig:
    edits = {f"encoder.{key}": value for key, value in values.items()}
    return Config().with_values({"encoder.name": name, **edits}).encoder


@functools.lru_cache(maxsize=2)
def evaluated(name: str) -> Network:
    """The network of an encoder in evaluation mode; not to be changed."""
    return build_network(settings(name), FRAMES, seed=0).eval()


def clips(scans: int, frames: int = FRAMES) -> Tensor:
    return torch.randn(scans, frames, 32, 32, generator=torch.Generator().manual_seed(scans))


@every_encoder
def test_the_embedding_is_as_wide_as_the_encoder_says(name: str) -> None:
    network = evaluated(name)
    width = network.encoder.width
    embedding, score, projection = network(clips(2))
    assert embedding.shape == projection.shape == (2, width) and score.shape == (2,)
    assert network(clips(0)).embedding.shape == (0, width)


@every_encoder
@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_every_parameter_has_a_finite_gradient(name: str, precision: str) -> None:
    network = build_network(settings(name), FRAMES, seed=0).to(weight_format(precision))
    with autocast(precision, "cpu"):
        output = network(clips(2))
    assert {value.dtype for value in output} == {weight_format(precision)}
    (output.score.sum() + output.projection.square().sum()).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


@every_encoder
def test_a_single_frame_is_enough(name: str) -> None:
    network = build_network(settings(name), 1, seed=0)
    assert network(clips(2, frames=1)).embedding.isfinite().all()


@every_encoder
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    state = torch.get_rng_state()
    again = build_network(settings(name), FRAMES, seed=0).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    first = evaluated(name).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    network = build_network(settings(name, projection_dim=8), FRAMES, seed=0)
    with_head = network.encoder.state_dict()
    assert all(torch.equal(first[f"encoder.{key}"], with_head[key]) for key in with_head)


@every_encoder
@torch.no_grad()
def test_a_scan_is_evaluated_alike_whatever_lies_beside_it(name: str) -> None:
    network, x = evaluated(name), clips(3)
    together = network(x).embedding
    alone = torch.cat([network(scan[None]).embedding for scan in x])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(network(x.flip(0)).embedding, together.flip(0), rtol=1e-4, atol=1e-4)


@every_encoder
@torch.no_grad()
def test_what_was_saved_predicts_the_same_bits(name: str, tmp_path: Any) -> None:
    network = evaluated(name)
    write_tensors(network.state_dict(), tmp_path / "encoder.pt")
    size = (tmp_path / "encoder.pt").stat().st_size
    assert network_bytes(settings(name), FRAMES) == pytest.approx(size, rel=0.03)
    loaded = build_network(settings(name), FRAMES, seed=1).eval()
    loaded.load_state_dict(read_tensors((tmp_path / "encoder.pt").read_bytes()))
    assert torch.equal(loaded(clips(2)).embedding, network(clips(2)).embedding)
    started = build_network(settings(name, weights=str(tmp_path / "encoder.pt")), FRAMES, seed=1)
    for key, tensor in started.encoder.named_parameters():
        assert torch.equal(tensor, network.encoder.get_parameter(key))


@every_encoder
@torch.no_grad()
def test_a_frame_reaches_its_neighbours_where_channels_are_shifted_and_only_there(name: str) -> None:
    shifts = settings(name).shifts
    if settings(name).volumetric:
        assert not shifts
        return
    for fraction in (0.0, 0.25) if shifts else (0.0,):
        encoder = build_network(settings(name, shift_fraction=fraction), 5, seed=0).eval().encoder
        assert isinstance(encoder, FrameEncoder)
        frames = clips(1, frames=5)[0, :, None]
        before = encoder.features(frames)
        frames[2] += 1
        changed = (encoder.features(frames) - before).abs().amax(1) > 1e-4 * before.abs().max()
        assert changed.tolist()[1:4] == ([True] * 3 if fraction else [False, True, False])


@every_encoder
@torch.no_grad()
def test_the_order_of_slices_means_something_to_a_network_of_volumes(name: str) -> None:
    if settings(name).volumetric:
        network, x = evaluated(name), clips(2)
        assert not torch.allclose(network(x).embedding, network(x.flip(1)).embedding, rtol=1e-3, atol=1e-3)


def counts(network: nn.Module) -> tuple[int, int]:
    """Layers of batch normalisation, and of group normalisation."""
    layers = list(network.modules())
    return sum(isinstance(m, BATCH_NORMS) for m in layers), sum(isinstance(m, nn.GroupNorm) for m in layers)


@every_encoder
def test_a_normalisation_is_honoured_or_refused(name: str) -> None:
    with torch.device("meta"):
        made = {norm: Network(settings(name, norm=norm), FRAMES) for norm in ("batch", "partial", "frozen")}
        batch = counts(made["batch"])[0]
        assert batch > 1 and counts(made["partial"]) == (1, 0) and counts(made["frozen"]) == (0, 0)
        if name == "monai_efficientnet_b0":
            with pytest.raises(UserError, match=r"encoder\.norm=group"):
                settings(name, norm="group")
        else:
            assert counts(Network(settings(name, norm="group"), FRAMES)) == (0, batch)


def step_on_gpu(network: nn.Module) -> set[str]:
    """The operations of a network in training, forward and backward."""
    x = torch.empty(2, FRAMES, 32, 32, device="meta")
    with shapes_alone(), OnGpu() as operations:
        output = network.train()(x)
        (output.score.sum() + output.projection.square().sum()).backward()
    return operations.names


@every_encoder
def test_a_cuda_graph_can_hold_it_and_it_is_deterministic(name: str) -> None:
    """No number is read by the host, no shape depends on the data, no tensor lies on the CPU."""
    step_without_reads(name, "batch")


@pytest.mark.parametrize("norm", ["frozen", "group"])
def test_a_cuda_graph_can_hold_it_with_other_normalisation(norm: str) -> None:
    step_without_reads("tsm_resnet18", norm)


def step_without_reads(name: str, norm: str) -> None:
    with torch.device("meta"):
        network = Network(settings(name, norm=norm, projection_dim=4), FRAMES)
    operations = step_on_gpu(network)
    assert "convolution_backward" in operations and not operations & NOT_DETERMINISTIC


@pytest.mark.parametrize(
    ("reason", "layer"),
    [
        ("_adaptive_avg_pool2d_backward", nn.AdaptiveAvgPool2d(3)),
        ("reflection_pad2d_backward", nn.ReflectionPad2d(1)),
    ],
)
def test_the_rule_refuses_a_layer_without_a_deterministic_gradient(reason: str, layer: nn.Module) -> None:
    with torch.device("meta"):
        network = Network(settings("tsm_resnet18"), FRAMES)
        network.encoder.maxpool = nn.Sequential(network.encoder.maxpool, layer)
    with pytest.raises(OperationError, match=reason):
        step_on_gpu(network)


@pytest.fixture(scope="module")
def world_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@every_encoder
@pytest.mark.usefixtures("world_of_one")
@torch.no_grad()
def test_normalisation_over_all_ranks_is_the_one_of_a_single_process(name: str) -> None:
    plain, synchronised = (build_network(settings(name), FRAMES, seed=0).double() for _ in range(2))
    names = list(synchronised.state_dict())
    _synchronise_batch_norm(synchronised)
    assert list(synchronised.state_dict()) == names
    torch.testing.assert_close(synchronised(clips(3)).embedding, plain(clips(3)).embedding)
    for key, tensor in plain.named_buffers():
        torch.testing.assert_close(synchronised.get_buffer(key), tensor)


FIRST_WEIGHTS = {
    "encoder.conv1.weight": [-0.005055849, -0.003129919, 0.030443195],
    "encoder.layer4.1.conv2.weight": [0.015056788, 0.02011095, -0.016546119],
    "score.weight": [0.031656604, 0.040777739, 0.029874349],
    "projection.2.weight": [-0.020422502, -0.001068238, -0.00369346],
}


def test_the_default_encoder_is_that_of_commit_3590708() -> None:
    """Names and initial weights, the last of which follow from the order of all draws before them."""
    state = build_network(EncoderConfig(projection_dim=4), 4, seed=3).state_dict()
    assert len(state) == 126
    for key, values in FIRST_WEIGHTS.items():
        assert state[key].flatten()[:3].tolist() == pytest.approx(values, rel=1e-4)


def test_a_shift_of_what_cannot_shift_is_refused_and_the_default_is_none() -> None:
    base = Config()
    assert base.encoder.shift_fraction == 0.25
    other = base.with_values({"encoder.name": "monai_densenet121"})
    assert other.encoder.shift_fraction == 0
    assert Config(encoder=EncoderConfig(name="monai_densenet121")).encoder == other.encoder
    with pytest.raises(UserError, match="monai_densenet121 shifts nothing between frames"):
        other.with_values({"encoder.shift_fraction": 0.25})
    assert other.with_values({"encoder.name": "tsm_resnet34"}).encoder.shift_fraction == 0.25


def test_imagenet_weights_are_refused_where_there_are_none() -> None:
    with pytest.raises(UserError, match="monai_resnet18 has no ImageNet weights"):
        settings("monai_resnet18", weights="imagenet")


def test_a_missing_package_is_named_with_its_extra_and_stops_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(registry, "version", missing)
    config = Config().with_values({"encoder.name": "monai_resnet18"})  # as results folders are read
    assert Config.from_dict(config.to_dict()) == config and "encoder.norm" in all_keys()
    for needs_it in (lambda: with_code(Source(path="x"), config, ""), lambda: ENCODERS.get("monai_resnet18")):
        with pytest.raises(UserError, match=r"needs the package monai.*pip install 'learner-ray\[monai\]'"):
            needs_it()


def test_the_version_of_a_package_that_computes_an_encoder_is_part_of_a_run() -> None:
    config = Config().with_values({"encoder.name": "monai_resnet18"})
    assert with_code(Source(path="x"), config, "").components[0][1].startswith("monai==")
    assert with_code(Source(path="x"), Config(), "").components == ()
