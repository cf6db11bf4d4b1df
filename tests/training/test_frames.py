"""Wherever the frames lie, a batch holds the same bytes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from learner_ray.imaging.frame_stack import FrameStack
from learner_ray.training import frames as frames_module
from learner_ray.training.frames import Frames, MappedFrames, ResidentFrames, StreamedFrames, Waits

PLACES = [MappedFrames, ResidentFrames, StreamedFrames]
PIXELS = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype=np.uint8)
PIXELS.setflags(write=False)  # as a mapped file is
STACK = FrameStack([PIXELS[20:], PIXELS[:20]], [(1, 0, 7), (1, 7, 13), (0, 0, 10)])
"""The same frames in two files."""


def indices(sizes: tuple[int, ...] = (3, 2, 3, 0, 1)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, len(PIXELS), (size, 6), generator=generator) for size in sizes]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pixels", [PIXELS, STACK])
@pytest.mark.parametrize("place", PLACES)
def test_clips_are_the_frames_asked_for(place: type[Frames], pixels: np.ndarray | FrameStack) -> None:
    asked = indices()
    given = [clips.clone() for clips in place(pixels, "cpu").clips(asked, Waits())]
    assert len(given) == len(asked)
    for index, clips in zip(asked, given, strict=True):
        assert clips.dtype == torch.uint8 and torch.equal(clips, torch.tensor(PIXELS)[index])


@pytest.mark.parametrize("place", PLACES)
def test_clips_hold_until_the_next_are_asked_for(place: type[Frames]) -> None:
    asked = indices()
    for index, clips in zip(asked, place(PIXELS, "cpu").clips(asked, Waits()), strict=True):
        assert torch.equal(clips, torch.tensor(PIXELS)[index])


@pytest.mark.parametrize("place", PLACES)
def test_no_batches_give_no_clips(place: type[Frames]) -> None:
    assert list(place(PIXELS, "cpu").clips([], Waits())) == []


def test_reading_a_file_is_waiting() -> None:
    waits = Waits()
    list(MappedFrames(PIXELS, "cpu").clips(indices(), waits))
    assert waits.seconds() > 0


def test_frames_lie_on_a_gpu_where_they_fit_into_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which kind is chosen; the kinds are made on the CPU."""
    made: list[type[Frames]] = []
    for place in (ResidentFrames, StreamedFrames):
        monkeypatch.setattr(frames_module, place.__name__, lambda *_, place=place: made.append(place))
    for bytes_of_gpu in (4 * PIXELS.nbytes, 4 * PIXELS.nbytes - 4):
        monkeypatch.setattr(frames_module, "memory_limit", lambda total=bytes_of_gpu: total)
        frames_module.frames_for(PIXELS, "cuda")
    assert made == [ResidentFrames, StreamedFrames]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("place", PLACES)
def test_a_gpu_gets_the_same_bytes(place: type[Frames]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (500, 112, 112), dtype=np.uint8)
    asked = [torch.randint(0, 500, (16, 8)) for _ in range(20)]
    waits = Waits()
    given = [clips.clone() for clips in place(pixels, "cuda").clips(asked, waits)]
    torch.cuda.synchronize()
    for index, clips in zip(asked, given, strict=True):
        assert torch.equal(clips.cpu(), torch.from_numpy(pixels)[index])
    assert waits.seconds() >= 0
