"""The frames of scans that lie in several mapped files, as if they lay in one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class FrameStack:
    """Frames of scans one after the other, (F, size, size), of which indexing makes a copy.

    Args:
        shards: uint8 (F_i, size, size), at least one; they may be mapped files.
        places: of each scan the number of its shard, the position of its first frame there, and the number
            of its frames, at least one.

    Attributes:
        starts: int64 (scans,), the position of each scan's first frame in the stack.
        shape: (F, size, size).
        nbytes: bytes of all its frames.
    """

    def __init__(self, shards: Sequence[Pixels], places: Sequence[tuple[int, int, int]]) -> None:
        self._shards = shards
        self._shard, first, lengths = np.array(places, dtype=np.int64).reshape(-1, 3).T
        ends = np.cumsum(lengths)
        self.starts = ends - lengths
        self._shift = first - self.starts
        self._frames = int(ends[-1])
        self.shape = (self._frames, *shards[0].shape[1:])
        self.nbytes = int(np.prod(self.shape))

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, index: NDArray[np.int64] | slice) -> Pixels:
        """Frames by their positions (...): uint8 (..., size, size)."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        scan = np.searchsorted(self.starts, index, side="right") - 1
        shard, position = self._shard[scan], index + self._shift[scan]
        touched = np.unique(shard)
        if len(touched) == 1:
            only: Pixels = self._shards[touched[0]][position]
            return only
        found: Pixels = np.empty((*index.shape, *self.shape[1:]), np.uint8)
        for number in touched:
            here = shard == number
            found[here] = self._shards[number][position[here]]
        return found
