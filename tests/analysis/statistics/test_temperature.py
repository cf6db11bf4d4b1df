"""Scaled probabilities are fitted exactly, stay in order, and are better for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from analysis.statistics.temperature import LARGEST, Temperature

EQUAL = np.full(3, 1 / 3)


def drawn(rng: np.random.Generator, exponent: float, shares: np.ndarray, n: int = 4000) -> tuple:
    """Probabilities of which those with the evidence raised to a power are right, and classes drawn so."""
    evidence = rng.normal(size=(n, 3))
    right = softmax(np.log(shares) + exponent * evidence, axis=1)
    y = (right.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=2)
    return softmax(np.log(shares) + evidence, axis=1), y, np.ones(n)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), equal=st.booleans(), exponent=st.floats(0.1, 3))
def test_a_scaling_keeps_the_order_and_sums_to_one(seed: int, equal: bool, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    p, shares = rng.dirichlet(np.ones(3), 20), EQUAL if equal else rng.dirichlet(5 * np.ones(3))
    found = Temperature(exponent, shares)(p)
    np.testing.assert_allclose(found.sum(1), 1)
    assert ((found / shares).argsort(1) == (np.maximum(p, 1e-6) / shares).argsort(1)).all()
    np.testing.assert_allclose(Temperature(1.0, shares)(p), p, atol=1e-5)
    np.testing.assert_allclose(Temperature(0.0, shares)(p), np.tile(shares, (20, 1)))


@pytest.mark.parametrize("exponent", [0.3, 1.0, 2.0])
def test_the_exponent_is_found_and_is_the_best_there_is(exponent: float) -> None:
    shares = np.array([0.2, 0.5, 0.3])
    p, y, weight = drawn(np.random.default_rng(1), exponent, shares)
    found = Temperature.fit(p, y, weight, shares)
    assert found.exponent == pytest.approx(exponent, abs=0.12)

    def loss(b: float) -> float:
        return -float(np.log(Temperature(b, shares)(p)[np.arange(len(y)), y]).sum())

    assert found.exponent == pytest.approx(minimize_scalar(loss, bounds=(0, 5), method="bounded").x, abs=1e-3)


def test_what_knows_nothing_becomes_the_shares() -> None:
    """Also where it is worse than nothing; equal shares would say a third each."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1, 2], [10, 70, 20])
    wrong = np.eye(3)[(y + 1) % 3] * 0.8 + 0.2 / 3
    found = Temperature.fit(wrong, y, np.ones(100))
    assert found.exponent == 0
    np.testing.assert_allclose(found(rng.dirichlet(np.ones(3), 2)), np.tile([11, 71, 21], (2, 1)) / 103)


def test_a_class_that_nobody_has_keeps_a_share_and_perfect_predictions_are_bounded() -> None:
    y = np.array([0, 1, 1, 0])
    found = Temperature.fit(np.eye(3)[y] * 0.9 + 0.1 / 3, y, np.ones(4))
    assert found.exponent == LARGEST and found.shares.min() == pytest.approx(1 / 7)
    assert np.isfinite(np.log(found(np.array([1.0, 0.0, 0.0])))).all()
