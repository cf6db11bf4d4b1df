import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.imaging.augmentation import (
    GAIN,
    MIDTONE,
    NOISE,
    ROTATION_DEG,
    SCALE,
    TRANSLATION,
    _grid,
    augment,
)
from learner_ray.imaging.counter_random import uniform, words


def _keys(*keys):
    return torch.tensor(keys, dtype=torch.int64)


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
    whole = augment(batch, means, sds, _keys(*keys))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    part = augment(batch[order], means[order], sds[order], _keys(*(keys[i] for i in order)))
    torch.set_num_threads(before)
    assert torch.equal(whole[order], part)


def test_keys_differ():
    batch, means, sds = _clips(1)
    outputs = [augment(batch, means, sds, _keys(key)) for key in range(20)]
    assert len({output.numpy().tobytes() for output in outputs}) == 20


@pytest.mark.parametrize(("keys", "strength"), [(None, 1.0), (_keys(1, 2, 3, 4), 0.0)])
def test_without_keys_or_strength_scans_are_standardised_only(keys, strength):
    batch, means, sds = _clips(4)
    expected = (batch.double() - means.double()[:, None, None, None]) / sds.double()[:, None, None, None]
    torch.testing.assert_close(
        augment(batch, means, sds, keys, strength).double(), expected, rtol=0, atol=1e-5
    )


def test_small_strength_is_close_to_none():
    batch, means, sds = _clips(4)
    plain = augment(batch, means, sds, None)
    slight = augment(batch, means, sds, _keys(1, 2, 3, 4), 1e-5, flip=False)
    torch.testing.assert_close(slight, plain, rtol=0, atol=5e-3)


def test_mirror_images_only_where_wanted():
    batch, means, sds = _clips(1)
    plain = augment(batch, means, sds, None)
    mirrored = [
        torch.allclose(augment(batch, means, sds, _keys(key), 1e-5), plain.flip(-1), atol=5e-3)
        for key in range(60)
    ]
    assert 15 < sum(mirrored) < 45


def test_frames_of_a_clip_are_varied_alike_but_for_noise():
    batch, means, sds = _clips(6, size=64)
    still = batch[:, :1].repeat(1, 2, 1, 1)
    varied = augment(still, means, sds, torch.arange(6))
    difference = varied[:, 0] - varied[:, 1]
    assert difference.std().item() == pytest.approx(NOISE * 2**0.5, rel=0.03)
    assert abs(difference.mean().item()) < 4 * NOISE * (2 / difference.numel()) ** 0.5


def test_black_around_a_scan_stays_black():
    batch, means, sds = (
        torch.zeros(8, 2, 32, 32, dtype=torch.uint8),
        torch.full((8,), 100.0),
        torch.full((8,), 50.0),
    )
    varied = augment(batch, means, sds, torch.arange(8), 2.0)
    torch.testing.assert_close(varied, torch.full_like(varied, -2.0), rtol=0, atol=2 * NOISE * 6**0.5)


def test_what_is_drawn_is_turned_moved_and_brightened():
    """Beside the formulas in float64, with NumPy's sine and cosine."""
    keys = torch.arange(64)
    turn, scale, right, down, mirror, gain, midtone = uniform(words(keys, 2, 7)).numpy().T
    angle, size = np.deg2rad(ROTATION_DEG) * 2 * turn, 1 + SCALE * 2 * scale
    images = torch.zeros(64, 1, 4, 4)
    found = _grid(uniform(words(keys, 2, 7)).unbind(1), 2.0, True, images)[:, 1, 2].double().numpy()
    x, y = 0.25, -0.25  # the centre of the pixel in column 2 and row 1 of 4
    sign = np.where(mirror < 0, -1, 1)
    expected = np.stack(
        [
            sign * np.cos(angle) * size * x - np.sin(angle) * size * y + 2 * TRANSLATION * 2 * right,
            sign * np.sin(angle) * size * x + np.cos(angle) * size * y + 2 * TRANSLATION * 2 * down,
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    grey, mean, sd = 100.0, torch.full((64,), 90.0), torch.full((64,), 50.0)
    flat = torch.full((64, 2, 64, 64), int(grey), dtype=torch.uint8)
    middle = augment(flat, mean, sd, keys)[:, :, 24:40, 24:40].double().mean((1, 2, 3)).numpy()
    v, c = grey / 255, MIDTONE * midtone
    brightened = 255 * (1 + GAIN * gain) * (v + c * v * (1 - v))
    np.testing.assert_allclose(middle, (brightened - 90) / 50, atol=5 * NOISE / 512**0.5)


def test_no_clips_stay_none():
    batch, means, sds = _clips(1)
    assert augment(batch[:0], means[:0], sds[:0], _keys()).shape == (0, 3, 37, 37)
