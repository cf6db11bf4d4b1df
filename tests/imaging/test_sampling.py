import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.imaging.sampling import frame_indices

lengths = st.integers(1, 500)
counts = st.integers(1, 64)
generators = st.one_of(st.none(), st.integers(0, 2**32).map(np.random.default_rng))


@given(lengths, counts, generators)
def test_indices_are_in_range_and_never_fall(length, frames, rng):
    indices = frame_indices(length, frames, rng)
    assert indices.shape == (frames,) and indices.dtype == np.int64
    assert indices.min() >= 0 and indices.max() < length
    assert (np.diff(indices) >= 0).all()


@given(lengths, counts, generators)
def test_each_segment_gives_one_frame(length, frames, rng):
    indices = frame_indices(length, frames, rng)
    edges = np.floor(np.arange(frames + 1) * length / frames + 1e-9)
    if length >= frames:
        assert (edges[:-1] <= indices).all() and (indices < edges[1:]).all()
        assert np.ptp(np.diff(edges)) <= 1
    else:
        assert set(indices) == set(range(length)), "a short scan shows all its frames"


@given(counts, generators)
def test_a_scan_of_the_length_asked_for_is_shown_whole(frames, rng):
    np.testing.assert_array_equal(frame_indices(frames, frames, rng), np.arange(frames))


def test_every_frame_can_be_drawn():
    rng = np.random.default_rng(0)
    drawn = {int(i) for _ in range(300) for i in frame_indices(19, 4, rng)}
    assert drawn == set(range(19))


def test_centres_are_in_the_middle_of_odd_segments():
    assert frame_indices(15, 3, None).tolist() == [2, 7, 12]


def test_nothing_cannot_be_sampled():
    with pytest.raises(ValueError, match="cannot take 4 of 0 frames"):
        frame_indices(0, 4, None)
