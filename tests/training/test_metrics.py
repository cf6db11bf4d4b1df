"""Metrics count every class, also one that nobody has or predicts."""

import numpy as np
import pytest

from learner_ray.training.metrics import progression_metrics, spearman


def test_always_same_has_the_majoritys_accuracy_and_a_third_of_its_f1() -> None:
    y = np.repeat([0, 1, 2], [43, 150, 23])
    probabilities = np.tile([43 / 216, 150 / 216, 23 / 216], (216, 1))
    metrics = progression_metrics(y, probabilities, np.ones(216, dtype=int))
    assert metrics["accuracy"] == pytest.approx(150 / 216)
    assert metrics["macro_f1"] == pytest.approx(2 * 150 / (216 + 150) / 3)
    assert metrics["balanced_accuracy"] == pytest.approx(1 / 3)
    assert metrics["log_loss"] == pytest.approx(-np.log(probabilities[0]) @ np.bincount(y) / 216)


def test_a_class_absent_from_both_counts_zero() -> None:
    y = np.array([0, 1])
    assert progression_metrics(y, np.eye(3)[y], y)["macro_f1"] == pytest.approx(2 / 3)


def test_spearman_of_a_constant_is_not_a_number() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert spearman(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1)
