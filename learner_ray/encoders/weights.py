"""Pretrained weights for an encoder: a file of the user's, or public ones."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from learner_ray.core.errors import UserError


def take_weights(encoder: nn.Module, state: Mapping[str, Tensor], spec: str, what: str) -> None:
    """Replaces an encoder's weights by those of a state dict; entries that it does not have are left out.

    Where group normalisation stands for the batch normalisation of the state dict, its scale and offset are
    left as they are: they belong to statistics that group normalisation does not use.

    Args:
        encoder: changed in place, or not at all.
        state: tensors by the encoder's names, each (as in the encoder).
        spec: ``encoder.weights`` of the configuration, for messages.
        what: the encoder's name in messages, with its article.

    Raises:
        UserError: entries are missing, or have another shape.
    """
    wanted = {
        name: tensor
        for name, tensor in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked") and not _other_norm(encoder, name, state)
    }
    missing = sorted(wanted.keys() - state.keys())
    if missing:
        raise UserError(
            f"encoder.weights={spec}: not the weights of {what}, {len(missing)} of {len(wanted)} "
            f"entries are missing ({', '.join(missing[:3])}, ...); give a state dict with its names"
        )
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            raise UserError(
                f"encoder.weights={spec}: {name} has shape {tuple(state[name].shape)} where {what} has "
                f"{tuple(tensor.shape)}; give the weights of {what}"
            )
    encoder.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _other_norm(encoder: nn.Module, name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether an entry belongs to group normalisation here and to batch normalisation there."""
    layer, _, _ = name.rpartition(".")
    return isinstance(encoder.get_submodule(layer), nn.GroupNorm) and f"{layer}.running_mean" in state


def match_channels(weight: Tensor, channels: int) -> Tensor:
    """Sums a convolution's weight (out, in, ...) over its input channels where the network has one channel.

    Returns:
        The weight (out, 1, ...), or the unchanged weight where the network has several channels.
    """
    return weight.sum(1, keepdim=True) if channels == 1 else weight


def download_weights(url: str) -> Mapping[str, Any]:
    """A public state dict, fetched once into torch's hub cache and checked by the hash in its name.

    Raises:
        UserError: it cannot be fetched.
    """
    try:
        state: Mapping[str, Any] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, HTTPException, RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"encoder.weights=imagenet: cannot fetch {url} ({error}); download it elsewhere and "
            f"give its path, put it into {Path(torch.hub.get_dir()) / 'checkpoints'}, or use "
            "encoder.weights=none"
        ) from error
    return state


def read_weights(spec: str) -> dict[str, Tensor]:
    """Reads a state dict's file; of a network that this package saved, the tensors of its encoder.

    Returns:
        The tensors by name, each (as saved).

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    path = Path(spec)
    if not path.is_file():
        raise UserError(f"encoder.weights={spec}: no such file; give a path, or none")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        # Not in PyTorch's words, which advise to run what code the file holds.
        raise UserError(
            f"encoder.weights={spec}: cannot be read as a state dict; save it with "
            "torch.save(model.state_dict(), path)"
        ) from error
    if not isinstance(state, Mapping):
        raise UserError(f"encoder.weights={spec}: holds a {type(state).__name__}, not a state dict")
    return encoder_entries(state)


def encoder_entries(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors (as given) of the encoder, without the prefix ``encoder.`` that this package's networks
    put before their names.
    """
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    prefix = "encoder."
    own = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return own or tensors
