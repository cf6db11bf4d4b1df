"""Nobody shares a CUDA stream with anybody else of the process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch

from learner_ray.training.graph import CudaGraphs
from learner_ray.training.side_by_side import own_thread, side_by_side
from learner_ray.training.streams import STREAMS, Purpose, _take, own_stream

PURPOSES = get_args(Purpose)


@dataclass
class Handle:
    """Stands for a stream on a machine without a GPU."""

    cuda_stream: int


def in_turn() -> Callable[[], Handle]:
    """Hands out streams as PyTorch does."""
    numbers = itertools.cycle(range(1, STREAMS + 1))
    return lambda: Handle(next(numbers))


def taken(threads: int, new: Callable[[], Any], others: int = 0) -> list[int]:
    """The handles that so many threads get at the same time, each asking twice."""
    ready = threading.Barrier(threads)

    def take() -> list[int]:
        found = []
        for purpose in PURPOSES:
            for _ in range(others):
                new()
            found += [own_stream(purpose, new).cuda_stream]
        assert found == [own_stream(purpose, new).cuda_stream for purpose in PURPOSES]
        ready.wait()
        return found

    with ThreadPoolExecutor(threads) as pool:
        found = [pool.submit(take) for _ in range(threads)]
    return [handle for future in found for handle in future.result()]


@pytest.mark.parametrize("others", [0, 1, 10, 31])
def test_no_two_threads_or_purposes_share_a_stream(others: int) -> None:
    """Whatever others take from PyTorch in between."""
    new = in_turn()
    for _ in range(20):  # as many streams as three rounds of all
        handles = taken(8, new, others)
        assert len(set(handles)) == len(handles) == 8 * len(PURPOSES)


def test_more_than_there_are_is_an_error() -> None:
    new = in_turn()
    held = [_take(new) for _ in range(STREAMS)]
    with pytest.raises(RuntimeError, match=f"all {STREAMS} CUDA streams"):
        _take(new)
    free = held.pop().cuda_stream
    assert _take(new).cuda_stream == free, "what nobody holds any more can be had again"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_records_on_no_stream_of_another_however_many_came_before() -> None:
    neighbour = own_thread()
    other = neighbour.submit(lambda: torch.cuda.current_stream().cuda_stream).result()

    def recorded_on() -> list[int]:
        return [CudaGraphs()._stream.cuda_stream for _ in range(2 * STREAMS)]

    (found,) = side_by_side([recorded_on])
    assert not isinstance(found, Exception)
    assert other not in found
    neighbour.shutdown()
