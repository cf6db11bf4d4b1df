"""Pretrained weights for the encoder: a file of the user's, or ImageNet's."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from learner_ray.core.errors import UserError
from learner_ray.encoders.resnet import ResNet18

IMAGENET_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
"""torchvision's ``ResNet18_Weights.IMAGENET1K_V1``; the name carries the start of the SHA-256."""


def load_weights(encoder: ResNet18, spec: str) -> None:
    """Replace the encoder's weights by those of a file, or by ImageNet's.

    A file is a state dict with torchvision's ResNet-18 names, or a network saved by this package (names
    that start with ``encoder.``); classifier weights are left out. A three-channel ``conv1`` is summed
    over RGB. ImageNet normalisation, (grey - mean_c) / sd_c per channel, is thereby folded in as the
    identity: our scans are standardised already, so they stand for the *normalised* channels, which are
    equal for a grey image up to 0.16 of an SD. Nothing is left for a bias that ``conv1`` does not have.

    With ``norm="group"`` only the convolutions are taken: batch normalisation's scale and offset belong
    to statistics that group normalisation does not use.

    Args:
        encoder: changed in place.
        spec: ``imagenet``, downloaded once into torch's hub cache and checked by hash, or a path.

    Raises:
        UserError: the file is missing, unreadable or not a ResNet-18, or the download fails.
    """
    state = _download() if spec == "imagenet" else _read(Path(spec))
    state = _encoder_entries(state)
    wanted = {
        name: tensor
        for name, tensor in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    if isinstance(encoder.bn1, torch.nn.GroupNorm) and "bn1.running_mean" in state:
        wanted = {name: tensor for name, tensor in wanted.items() if tensor.ndim == 4}
    if "conv1.weight" in state and state["conv1.weight"].ndim == 4:
        state["conv1.weight"] = _match_channels(state["conv1.weight"], wanted["conv1.weight"].shape[1])
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise UserError(
            f"encoder.weights={spec}: not the weights of a ResNet-18, {len(missing)} of {len(wanted)} "
            f"entries are missing ({', '.join(missing[:3])}, ...); give a state dict with torchvision's names"
        )
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            raise UserError(
                f"encoder.weights={spec}: {name} has shape {tuple(state[name].shape)} where a ResNet-18 has "
                f"{tuple(tensor.shape)}; give the weights of a ResNet-18"
            )
    encoder.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _match_channels(weight: Tensor, channels: int) -> Tensor:
    """Sum a convolution over its input channels where the network has but one."""
    return weight.sum(1, keepdim=True) if channels == 1 else weight


def _download() -> Mapping[str, Any]:
    try:
        state: Mapping[str, Any] = torch.hub.load_state_dict_from_url(
            IMAGENET_URL, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, HTTPException, RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"encoder.weights=imagenet: cannot fetch {IMAGENET_URL} ({error}); download it elsewhere and "
            f"give its path, put it into {Path(torch.hub.get_dir()) / 'checkpoints'}, or use "
            "encoder.weights=none"
        ) from error
    return state


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise UserError(f"encoder.weights={path}: no such file; give a path, imagenet or none")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # Not in PyTorch's words, which advise to run what code the file holds.
        raise UserError(
            f"encoder.weights={path}: cannot be read as a state dict; save it with "
            "torch.save(model.state_dict(), path)"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"encoder.weights={path}: holds a {type(state).__name__}, not a state dict")
    return state


def _encoder_entries(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the encoder, under torchvision's names."""
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    prefix = "encoder."
    own = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return own or tensors
