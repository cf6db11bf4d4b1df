"""Files of tensors: written so that a power cut leaves the old file or the new, read without running code."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from learner_ray.core.files import keep_names, replacing


class UnreadableError(Exception):
    """A file does not hold tensors, or is not whole. PyTorch's own message would advise to load it
    unsafely."""


def write_tensors(value: Any, path: Path) -> None:
    """Writes tensors, and containers of them, whole or not at all."""
    with replacing(path) as stream:
        torch.save(value, stream)
    keep_names(path.parent)


def read_tensors(content: bytes) -> Any:
    """The tensors that ``write_tensors`` wrote, on the CPU.

    Raises:
        UnreadableError: the content was cut short, changed, or is something else.
    """
    try:
        # PyTorch does not look at the checksums in its own files, and takes flipped bits for weights.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            broken = archive.testzip()
        if broken is None:
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # random bytes can go wrong anywhere
        raise UnreadableError("it is damaged, or holds more than tensors") from error
    raise UnreadableError("it is damaged")
