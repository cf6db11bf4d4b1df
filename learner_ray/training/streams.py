"""CUDA streams that nobody else in the process uses.

``torch.cuda.Stream()`` does not make a stream: it hands out one of 32 per GPU, in turn, and the 33rd is the
first again. Two runs of one process that come to share one this way spoil each other: what one launches while
the other records a graph becomes part of that graph.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal
from weakref import WeakValueDictionary

import torch

Purpose = Literal["run", "graph", "copies"]

STREAMS = 32
"""How many streams PyTorch has for each GPU and priority (``c10/cuda/CUDAStream.h``)."""

_taken: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""The streams in use by their handles. Their threads hold them, so they come back when a thread ends."""
_taking = threading.Lock()
_mine = threading.local()


def own_stream(purpose: Purpose, new: Callable[[], Any] = torch.cuda.Stream) -> Any:
    """The stream of this thread for a purpose: the same one each time, and no other thread's.

    Args:
        purpose: what it is for; the runs that a thread trains one after the other share it.
        new: gives the next stream.

    Raises:
        RuntimeError: all are in use.
    """
    streams: dict[str, Any] = _mine.__dict__
    if purpose not in streams:
        streams[purpose] = _take(new)
    return streams[purpose]


def _take(new: Callable[[], Any]) -> Any:
    with _taking:
        for _ in range(STREAMS):
            stream = new()
            if stream.cuda_stream not in _taken:
                _taken[stream.cuda_stream] = stream
                return stream
    raise RuntimeError(f"all {STREAMS} CUDA streams of a process are in use: train fewer runs side by side")
