"""Frames in several files are those of one array."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.imaging.frame_stack import FrameStack

SHARDS = [np.random.default_rng(n).integers(0, 256, (20, 3, 3), dtype=np.uint8) for n in range(3)]
PLACES = st.tuples(st.integers(0, 2), st.integers(0, 15), st.integers(1, 5))


@given(st.lists(PLACES, min_size=1, max_size=8), st.data())
def test_indexing_is_that_of_the_scans_one_after_another(places, data):
    stack = FrameStack(SHARDS, places)
    whole = np.concatenate([SHARDS[shard][first : first + length] for shard, first, length in places])
    assert stack.shape == whole.shape and len(stack) == len(whole) and stack.nbytes == whole.nbytes
    assert stack.starts.tolist() == np.cumsum([0, *(length for *_, length in places[:-1])]).tolist()

    positions = st.lists(st.integers(0, len(whole) - 1), min_size=4, max_size=4)
    index = np.array(data.draw(st.lists(positions, max_size=3))).reshape(-1, 4).astype(np.int64)
    np.testing.assert_array_equal(stack[index], whole[index])
    start, stop = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 50))
    np.testing.assert_array_equal(stack[start:stop], whole[start:stop])
