import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.imaging.augmentation import NOISE, augment, load_batch
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.sampling import frame_indices
from tests.imaging.make_scans import cohort_of, head, numbered_frames, numbers_of, write_nifti, write_video


def _clips(count, frames=3, size=37):
    pixels = np.random.default_rng(0).integers(0, 256, (count, frames, size, size), dtype=np.uint8)
    return torch.from_numpy(pixels), torch.linspace(90, 130, count), torch.linspace(40, 60, count)


@settings(max_examples=40)
@given(
    keys=st.lists(st.integers(0, 2**63 - 1), min_size=2, max_size=9),
    size=st.sampled_from([32, 37, 64]),
    threads=st.sampled_from([1, 2]),
    data=st.data(),
)
def test_a_clip_does_not_depend_on_its_batch(keys, size, threads, data):
    batch, means, sds = _clips(len(keys), size=size)
    order = torch.tensor(data.draw(st.permutations(range(len(keys)))))[: data.draw(st.integers(1, len(keys)))]
    whole = augment(batch, means, sds, keys)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    part = augment(batch[order], means[order], sds[order], [keys[i] for i in order])
    torch.set_num_threads(before)
    assert torch.equal(whole[order], part)


def test_keys_differ():
    batch, means, sds = _clips(1)
    outputs = [augment(batch, means, sds, [key]) for key in range(20)]
    assert len({output.numpy().tobytes() for output in outputs}) == 20


@pytest.mark.parametrize(("keys", "strength"), [(None, 1.0), ([1, 2, 3, 4], 0.0)])
def test_without_keys_or_strength_scans_are_standardised_only(keys, strength):
    batch, means, sds = _clips(4)
    expected = (batch.double() - means.double()[:, None, None, None]) / sds.double()[:, None, None, None]
    torch.testing.assert_close(
        augment(batch, means, sds, keys, strength).double(), expected, rtol=0, atol=1e-5
    )


def test_small_strength_is_close_to_none():
    batch, means, sds = _clips(4)
    plain = augment(batch, means, sds, None)
    slight = augment(batch, means, sds, [1, 2, 3, 4], 1e-5, flip=False)
    torch.testing.assert_close(slight, plain, rtol=0, atol=5e-3)


def test_mirror_images_only_where_wanted():
    batch, means, sds = _clips(1)
    plain = augment(batch, means, sds, None)
    mirrored = [
        torch.allclose(augment(batch, means, sds, [key], 1e-5), plain.flip(-1), atol=5e-3)
        for key in range(60)
    ]
    assert 15 < sum(mirrored) < 45


def test_frames_of_a_clip_are_varied_alike_but_for_noise():
    batch, means, sds = _clips(6, size=64)
    still = batch[:, :1].repeat(1, 2, 1, 1)
    varied = augment(still, means, sds, range(6))
    difference = varied[:, 0] - varied[:, 1]
    assert difference.std().item() == pytest.approx(NOISE * 2**0.5, rel=0.03)
    assert abs(difference.mean().item()) < 1e-3


def test_black_around_a_scan_stays_black():
    batch, means, sds = (
        torch.zeros(8, 2, 32, 32, dtype=torch.uint8),
        torch.full((8,), 100.0),
        torch.full((8,), 50.0),
    )
    varied = augment(batch, means, sds, range(8), 2.0)
    torch.testing.assert_close(varied, torch.full_like(varied, -2.0), rtol=0, atol=4 * NOISE)


@pytest.fixture
def cache(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", numbered_frames(50))
    volume = write_nifti(tmp_path / "t1.nii", head())
    return build_cache(cohort_of({"clip": [clip], "t1": [volume]}), 54, root=tmp_path)


def test_batch_holds_segment_centres_without_keys(cache):
    batch = load_batch(cache, ["t1", "clip"], 8, keys=None)
    assert batch.shape == (2, 8, 54, 54) and batch.dtype == torch.uint8
    assert numbers_of(batch[1].numpy()) == frame_indices(50, 8, None).tolist()


def test_frames_drawn_depend_on_the_key_alone(cache):
    both = load_batch(cache, ["clip", "t1"], 8, keys=[5, 6])
    assert torch.equal(both[0], load_batch(cache, ["clip"], 8, keys=[5])[0])
    drawn = {tuple(numbers_of(load_batch(cache, ["clip"], 8, keys=[key])[0].numpy())) for key in range(10)}
    assert len(drawn) == 10
