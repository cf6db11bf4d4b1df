import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.imaging.sampling import frame_indices

lengths = st.integers(1, 500)
counts = st.integers(1, 64)
keys = st.one_of(st.none(), st.integers(0, 2**63 - 1))


def chosen(length, frames, key):
    drawn = None if key is None else torch.tensor([key, 1])
    indices = frame_indices(torch.tensor([length, 7]), frames, drawn)
    assert indices.shape == (2, frames) and indices.dtype == torch.int64
    return indices[0].numpy()


@given(lengths, counts, keys)
def test_indices_are_in_range_and_never_fall(length, frames, key):
    indices = chosen(length, frames, key)
    assert indices.min() >= 0 and indices.max() < length
    assert (np.diff(indices) >= 0).all()


@given(lengths, counts, keys)
def test_each_segment_gives_one_frame(length, frames, key):
    indices = chosen(length, frames, key)
    edges = np.floor(np.arange(frames + 1) * length / frames + 1e-9)
    if length >= frames:
        assert (edges[:-1] <= indices).all() and (indices < edges[1:]).all()
        assert np.ptp(np.diff(edges)) <= 1
    else:
        assert set(indices) == set(range(length)), "a short scan shows all its frames"


@given(counts, keys)
def test_a_scan_of_the_length_asked_for_is_shown_whole(frames, key):
    np.testing.assert_array_equal(chosen(frames, frames, key), np.arange(frames))


def test_every_frame_can_be_drawn_and_each_as_often():
    drawn = frame_indices(torch.full((8000,), 20), 4, torch.arange(8000)).flatten().bincount()
    assert len(drawn) == 20
    expected = 8000 / 5
    assert float(((drawn - expected) ** 2 / expected).sum()) < 45, "chi-squared of 16 degrees, p = 1e-4"


@given(keys.filter(lambda key: key is not None), counts)
def test_a_scan_does_not_depend_on_its_batch(key, frames):
    both = frame_indices(torch.tensor([33, 50]), frames, torch.tensor([key, 2]))
    assert torch.equal(both[:1], frame_indices(torch.tensor([33]), frames, torch.tensor([key])))


def test_centres_are_in_the_middle_of_odd_segments():
    assert frame_indices(torch.tensor([15]), 3, None).tolist() == [[2, 7, 12]]
