"""Random numbers of a key and a position: the same integers as in NumPy's unsigned arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from learner_ray.imaging.counter_random import NOISE_MEAN, NOISE_VARIANCE, below, noise, uniform, words

keys_of = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5)
purposes = st.integers(0, 9)
counts = st.integers(1, 300)


def tensor(keys: list[int]) -> Tensor:
    return torch.tensor(keys, dtype=torch.int64)


def mix(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def reference(keys: list[int], purpose: int, count: int) -> NDArray[np.uint32]:
    given = np.array(keys, np.uint64)
    low = (given & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    high = (given >> np.uint64(32)).astype(np.uint32)
    seeds = mix(low ^ mix(high + np.uint32(purpose)))
    return mix(mix(np.arange(count, dtype=np.uint32)) ^ seeds[:, None])


@given(keys_of, purposes, counts)
def test_words_are_those_of_numpy(keys: list[int], purpose: int, count: int) -> None:
    found = words(tensor(keys), purpose, count).numpy().view(np.uint32)
    np.testing.assert_array_equal(found, reference(keys, purpose, count))


@given(keys_of, purposes, counts)
def test_noise_is_the_sum_of_two_bytes_of_a_word(keys: list[int], purpose: int, count: int) -> None:
    whole = reference(keys, purpose, (count + 1) // 2)
    octets = [(whole >> np.uint32(8 * k)) & np.uint32(255) for k in range(4)]
    pairs = np.stack([octets[0] + octets[1], octets[2] + octets[3]], axis=2)
    expected = pairs.reshape(len(keys), -1)[:, :count]
    np.testing.assert_array_equal(noise(tensor(keys), purpose, count).numpy(), expected)


@given(keys_of, counts)
def test_uniform_numbers_are_the_upper_bits(keys: list[int], count: int) -> None:
    signed = reference(keys, 2, count).view(np.int32).astype(np.float64)
    np.testing.assert_array_equal(uniform(words(tensor(keys), 2, count)), np.floor(signed / 256) / 2**23)


@given(keys_of, counts, st.integers(1, 2**31))
def test_whole_numbers_are_below_their_limit(keys: list[int], count: int, limit: int) -> None:
    drawn = words(tensor(keys), 1, count)
    found = below(drawn, torch.full(drawn.shape, limit, dtype=torch.int64)).numpy()
    expected = (reference(keys, 1, count).astype(np.uint64) * np.uint64(limit)) >> np.uint64(32)
    np.testing.assert_array_equal(found, expected)
    assert found.max() < limit


def test_noise_has_the_mean_and_variance_it_is_scaled_by() -> None:
    drawn = noise(torch.arange(20), 3, 50_000).double()
    size = drawn.numel()
    assert float(drawn.mean()) == pytest.approx(NOISE_MEAN, abs=4 * (NOISE_VARIANCE / size) ** 0.5)
    # The variance of a squared triangle's deviation: kurtosis 2.4.
    assert float(drawn.var()) == pytest.approx(NOISE_VARIANCE, rel=4 * (1.4 / size) ** 0.5)


def test_neighbours_and_keys_are_uncorrelated() -> None:
    drawn = noise(torch.arange(8), 3, 50_000).double()
    rows = torch.cat([drawn, drawn.roll(1, 1), drawn.roll(2, 1)])
    correlation = torch.corrcoef(rows) - torch.eye(len(rows))
    assert float(correlation.abs().max()) < 5 / 50_000**0.5


@given(st.integers(0, 2**63 - 1), st.integers(0, 62))
def test_every_bit_of_a_key_counts(key: int, bit: int) -> None:
    drawn = words(tensor([key, key ^ (1 << bit)]), 2, 8)
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_integers() -> None:
    keys = torch.arange(50) * 2**57 + 12345
    assert torch.equal(noise(keys.cuda(), 3, 10_001).cpu(), noise(keys, 3, 10_001))
    assert torch.equal(uniform(words(keys.cuda(), 2, 7)).cpu(), uniform(words(keys, 2, 7)))
