"""Pretrained weights: what is taken, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import Tensor

from learner_ray.core.config import EncoderConfig
from learner_ray.core.errors import UserError
from learner_ray.encoders import Network, build_network
from learner_ray.encoders.resnet import TsmResNet, TsmResNet18, TsmResNet34, TsmResNet50

KINDS = (TsmResNet18, TsmResNet34, TsmResNet50)


def in_colour(kind: type[TsmResNet] = TsmResNet18) -> TsmResNet:
    return kind(EncoderConfig(shift_fraction=0), 1, channels=3)


def public_state(kind: type[TsmResNet] = TsmResNet18) -> dict[str, Tensor]:
    """A state dict like torchvision's: three channels, a classifier, no count of batches."""
    encoder = in_colour(kind)
    state = {k: v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")}
    return {**state, "fc.weight": torch.zeros(1000, encoder.width), "fc.bias": torch.zeros(1000)}


def save(state: Any, folder: Path) -> str:
    path = folder / "weights.pth"
    torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_three_channels_become_one_that_sees_grey_alike(kind: type[TsmResNet], tmp_path: Path) -> None:
    state = public_state(kind)
    config = EncoderConfig(name=kind.name, shift_fraction=0, weights=save(state, tmp_path))
    network = build_network(config, 1, seed=0).eval()
    colour = in_colour(kind).eval()
    colour.load_state_dict(state, strict=False)
    grey = torch.randn(2, 1, 32, 32)
    expected = colour.features(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(network(grey).embedding, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_a_network_of_ours_loads_back(norm: Any, tmp_path: Path) -> None:
    source = build_network(EncoderConfig(norm=norm), 4, seed=1)
    path = save(source.state_dict(), tmp_path)
    loaded = build_network(EncoderConfig(norm="frozen", weights=path), 4, seed=2)
    assert torch.equal(loaded.encoder.conv1.weight, source.encoder.conv1.weight)
    assert not torch.equal(loaded.score.weight, source.score.weight)


def test_group_normalisation_takes_only_the_convolutions(tmp_path: Path) -> None:
    state = public_state()
    state["layer1.0.bn1.weight"] += 5
    network = build_network(EncoderConfig(norm="group", weights=save(state, tmp_path)), 4, seed=0)
    loaded = network.encoder.state_dict()
    assert torch.equal(loaded["layer1.0.conv1.weight"], state["layer1.0.conv1.weight"])
    assert torch.equal(loaded["layer1.0.bn1.weight"], torch.ones(64))


def broken_states() -> dict[str, Any]:
    state = public_state()
    return {
        "missing": {k: v for k, v in state.items() if not k.startswith("layer3")},
        "not a ResNet-18": {**state, "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)},
        "not a state dict": [1, 2],
        "another model": {"a": torch.zeros(1)},
    }


@pytest.mark.parametrize("case", broken_states())
def test_wrong_files_are_refused_and_change_nothing(case: str, tmp_path: Path) -> None:
    network = Network(EncoderConfig(), 4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    path = save(broken_states()[case], tmp_path)
    with pytest.raises(UserError, match=r"encoder\.weights"):
        network.encoder.load_weights(path)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 cut short"])
def test_unreadable_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        TsmResNet18(EncoderConfig(), 4).load_weights(str(path))


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        TsmResNet18(EncoderConfig(), 4).load_weights(save({"conv1.weight": Path("x")}, tmp_path))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(UserError, match=r"nowhere\.pth: no such file"):
        build_network(EncoderConfig(weights="nowhere.pth"), 4, seed=0)


def test_offline_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*args: Any, **kwargs: Any) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"no route to host.*give its path"):
        build_network(EncoderConfig(weights="imagenet"), 4, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_imagenet_is_read_from_the_cache(
    kind: type[TsmResNet], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    state = public_state(kind)
    torch.save(state, cache / Path(kind.imagenet).name)
    encoder = build_network(EncoderConfig(name=kind.name, weights="imagenet"), 4, seed=0).encoder
    loaded = encoder.get_parameter("layer2.0.conv1.weight")
    assert torch.equal(loaded, state["layer2.0.conv1.weight"])


def test_weights_of_another_depth_are_refused_by_name(tmp_path: Path) -> None:
    path = save(public_state(TsmResNet18), tmp_path)
    with pytest.raises(UserError, match=r"not the weights of a ResNet-34.*layer1\.2"):
        build_network(EncoderConfig(name="tsm_resnet34", weights=path), 4, seed=0)
