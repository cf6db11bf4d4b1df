"""The frames of a cohort where the training device reaches them soonest.

On a CPU that is the mapped files of the pixel cache. A GPU gets all of it, once, where it fits into a stated
share of the memory; else the frames of each batch, copied from pinned memory while the batch before is
trained. All three give the same bytes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner_ray.imaging.frame_stack import FrameStack
from learner_ray.training.process import memory_limit
from learner_ray.training.streams import own_stream

RESIDENT_SHARE = 0.25
"""The largest part of a GPU's memory, or of the part of it that this process may use, that frames take."""
_SLOTS = 2
"""Batches on their way to the GPU: one is trained while the next is copied."""

Pixels = NDArray[np.uint8]


class Frames(ABC):
    """All frames of some scans, one after the other.

    Args:
        pixels: uint8 (F, H, W).
        device: where clips are wanted.
    """

    def __init__(self, pixels: Pixels | FrameStack, device: str) -> None:
        self.device = device
        self._pixels = pixels

    @abstractmethod
    def clips(self, indices: Sequence[Tensor], waits: Waits) -> Iterator[Tensor]:
        """The clips of one batch after the other.

        Args:
            indices: int64 (B, T) on the CPU for each batch: positions of frames.
            waits: counts the time in which the device had none.

        Yields:
            uint8 (B, T, H, W) on the device, which holds until the next is asked for.
        """

    def _gather(self, index: Tensor) -> Pixels:
        """The clips of one batch, in memory of this process."""
        return np.asarray(self._pixels[index.numpy()])


class Waits:
    """How long a device waited for clips."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def add(self, seconds: float) -> None:
        """Counts seconds in which the device had nothing to do."""
        self._seconds += seconds

    def between(self, begin: torch.cuda.Event, end: torch.cuda.Event) -> None:
        """Counts the time between two events of a GPU, once both have happened."""
        self._events.append((begin, end))

    def seconds(self) -> float:
        """Seconds counted so far. Of a GPU, all events must have happened."""
        return self._seconds + sum(float(begin.elapsed_time(end)) / 1000 for begin, end in self._events)


class MappedFrames(Frames):
    """Frames that lie in files and are read when they are trained on."""

    def clips(self, indices: Sequence[Tensor], waits: Waits) -> Iterator[Tensor]:
        for index in indices:
            begin = time.perf_counter()
            clips = torch.from_numpy(self._gather(index)).to(self.device)
            waits.add(time.perf_counter() - begin)
            yield clips


class ResidentFrames(Frames):
    """Frames that all lie on the device."""

    def __init__(self, pixels: Pixels | FrameStack, device: str) -> None:
        super().__init__(pixels, device)
        self._resident = torch.empty(pixels.shape, dtype=torch.uint8, device=device)
        for start in range(0, len(pixels), 4096):  # a mapped file is not held in memory as a whole
            self._resident[start : start + 4096] = torch.tensor(pixels[start : start + 4096])
        if device.startswith("cuda"):
            # Runs beside this one read them on other streams. Not the whole device: one of them may be
            # recording a graph, which forbids that.
            torch.cuda.current_stream().synchronize()

    def clips(self, indices: Sequence[Tensor], waits: Waits) -> Iterator[Tensor]:
        if not indices:
            return
        shapes = [index.shape for index in indices]
        # In one copy for all batches: a copy from memory that is not pinned halts the host.
        flat = torch.cat([index.flatten() for index in indices]).to(self.device)
        parts = torch.split(flat, [shape.numel() for shape in shapes])
        for shape, part in zip(shapes, parts, strict=True):
            yield self._resident.index_select(0, part).view(*shape, *self._resident.shape[1:])


class StreamedFrames(Frames):
    """Frames that are copied to the device while it trains the batch before.

    Batches take turns in two slots, each a piece of pinned memory and one on the device. A slot is filled
    again when the device has trained what it held.
    """

    def clips(self, indices: Sequence[Tensor], waits: Waits) -> Iterator[Tensor]:
        largest = max((index.numel() for index in indices), default=0)
        size = self._pixels.shape[1:]
        slots = [_Slot(largest, size, self.device) for _ in indices[:_SLOTS]]
        for number, index in enumerate(indices):
            slot = slots[number % _SLOTS]
            slot.fill(self._gather(index))
            yield slot.take(waits)
            slot.done()


class _Slot:
    """Where one batch lies on its way to the device."""

    def __init__(self, frames: int, size: Sequence[int], device: str) -> None:
        self._gpu = device.startswith("cuda")
        self._host = torch.empty((frames, *size), dtype=torch.uint8, pin_memory=self._gpu)
        self._there = torch.empty((frames, *size), dtype=torch.uint8, device=device)
        self._shape: torch.Size = torch.Size()
        self._stream: Any = own_stream("copies") if self._gpu else None
        self._copied: Any = torch.cuda.Event() if self._gpu else None  # type: ignore[no-untyped-call]
        self._trained: Any = torch.cuda.Event() if self._gpu else None  # type: ignore[no-untyped-call]

    def fill(self, clips: Pixels) -> None:
        """Begins to copy clips (B, T, H, W), after what lay here has been copied and trained."""
        if self._gpu:
            self._copied.synchronize()
            self._stream.wait_event(self._trained)
        self._shape = torch.Size(clips.shape)
        count = clips.shape[0] * clips.shape[1]
        self._host[:count] = torch.from_numpy(clips).flatten(0, 1)
        with torch.cuda.stream(self._stream) if self._gpu else nullcontext():
            self._there[:count].copy_(self._host[:count], non_blocking=True)
        if self._gpu:
            self._copied.record(self._stream)

    def take(self, waits: Waits) -> Tensor:
        """The clips, for work that is given to the device from now on."""
        if self._gpu:
            begin = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            begin.record()
            torch.cuda.current_stream().wait_event(self._copied)
            end.record()
            waits.between(begin, end)
        return self._there[: self._shape[:2].numel()].view(self._shape)

    def done(self) -> None:
        """Notes that all work on the clips has been given to the device."""
        if self._gpu:
            self._trained.record()


def frames_for(pixels: Pixels | FrameStack, device: str) -> Frames:
    """The frames as suits the device.

    Args:
        pixels: uint8 (F, H, W), which may lie in mapped files.
        device: ``cpu`` or ``cuda``.
    """
    if not device.startswith("cuda"):
        return MappedFrames(pixels, device)
    if pixels.nbytes <= RESIDENT_SHARE * memory_limit():
        return ResidentFrames(pixels, device)
    return StreamedFrames(pixels, device)
