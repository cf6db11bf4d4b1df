"""Which scans come together: all once per epoch, and with ``train.balance=patient`` pairs of one patient in
every batch, wherever the patients have them."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from learner_ray.training.batches import paired_by_patient, shuffled

Scans = tuple[NDArray[np.int64], NDArray[np.int64]]
COHORTS = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=6), min_size=1, max_size=12)
"""By patient and visit, the number of scans."""


def scans_of(cohort: list[list[int]]) -> Scans:
    """Patient and visit of every scan."""
    rows = [(p, v) for p, visits in enumerate(cohort) for v, scans in enumerate(visits) for _ in range(scans)]
    patients, visits = np.array(rows).T
    return patients, visits


def batches(cohort: list[list[int]], size: int, seed: int = 0) -> list[NDArray[np.int64]]:
    patients, visits = scans_of(cohort)
    steps = math.ceil(len(patients) / size)
    return paired_by_patient(patients, visits, steps, np.random.default_rng(seed))


def disjoint_pairs(cohort: list[list[int]]) -> int:
    """The most pairs that use no scan twice: half of a patient's scans, or all outside his largest visit."""
    return sum(min(sum(visits) // 2, sum(visits) - max(visits)) for visits in cohort)


def pairs_within(patients: NDArray[np.int64], visits: NDArray[np.int64]) -> int:
    """The most pairs of one patient at different visits among some scans, none of them used twice."""
    counts = [Counter(visits[patients == patient].tolist()).values() for patient in np.unique(patients)]
    return disjoint_pairs([[*each] for each in counts])


@given(COHORTS, st.integers(2, 16), st.integers(0, 9))
def test_every_scan_is_seen_once_per_epoch_in_batches_of_the_usual_sizes(
    cohort: list[list[int]], size: int, seed: int
) -> None:
    found = batches(cohort, size, seed)
    n = len(scans_of(cohort)[0])
    assert sorted(np.concatenate(found)) == list(range(n))
    usual = shuffled(n, len(found), np.random.default_rng(seed))
    assert [len(batch) for batch in found] == [len(batch) for batch in usual]


@given(COHORTS, st.integers(2, 16), st.integers(0, 9))
def test_each_batch_has_its_share_of_all_pairs_there_are(
    cohort: list[list[int]], size: int, seed: int
) -> None:
    patients, visits = scans_of(cohort)
    found = batches(cohort, size, seed)
    share = disjoint_pairs(cohort) // len(found)
    for batch in found:
        assert pairs_within(patients[batch], visits[batch]) >= min(len(batch) // 2, share)


@given(COHORTS, st.sampled_from([4, 8, 16]), st.integers(0, 9))
def test_a_quarter_of_the_batch_size_wherever_the_patients_have_that_many(
    cohort: list[list[int]], size: int, seed: int
) -> None:
    patients, visits = scans_of(cohort)
    found = batches(cohort, size, seed)
    if disjoint_pairs(cohort) >= len(found) * size // 4:
        assert all(pairs_within(patients[batch], visits[batch]) >= size // 4 for batch in found)


def test_the_order_is_that_of_its_key_and_all_pairs_come_up() -> None:
    cohort = [[1, 1, 1]] * 8
    first, again, other = (np.concatenate(batches(cohort, 6, seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    seen = Counter(
        tuple(sorted(batch[:2].tolist())) for seed in range(300) for batch in batches(cohort, 6, seed)
    )
    assert len(seen) == 8 * 3 and max(seen.values()) < 3 * min(seen.values())


def test_single_visits_alone_make_plain_batches() -> None:
    assert [len(batch) for batch in batches([[2]] * 5, 4)] == [4, 3, 3]
