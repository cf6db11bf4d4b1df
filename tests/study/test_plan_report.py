"""What a plan says of the smallest difference that its study could find."""

from __future__ import annotations

import pytest

from analysis.statistics.metrics import METRICS
from learner_ray.study.plan_report import detectable_text


@pytest.mark.parametrize("name", METRICS.built_in)
def test_the_difference_is_told_in_the_unit_and_direction_of_the_primary_metric(name: str) -> None:
    """Seen: *about 0.12 macro-F1*, whatever the study's primary metric was."""
    metric = METRICS[name]
    said = detectable_text(metric.sign * 0.125, metric, "5 folds", "mse")
    than = "higher" if metric.higher_is_better else "lower"
    assert f"{metric.label} about 0.12 {than}, which is better" in said and "5 folds" in said
    assert metric.label in detectable_text(None, metric, "5 folds", "mse")
    assert "not known" in detectable_text(-metric.sign * 0.1, metric, "5 folds", "mse")
