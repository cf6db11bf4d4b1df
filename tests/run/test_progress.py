"""What is read off the progress rows of a run."""

from __future__ import annotations

import math

from learner_ray.run.progress import finite_numbers, median_gradient_ratio


def test_the_gradient_ratio_of_a_run_is_the_median_over_its_epochs() -> None:
    rows = [{"train/gradient_ratio": ratio} for ratio in (9.0, 1.0, 2.0)]
    assert median_gradient_ratio(rows) == 2.0
    assert median_gradient_ratio([*rows, {"train/gradient_ratio": None}]) == 2.0, "without a regression"


def test_a_run_of_an_older_version_has_none() -> None:
    assert math.isnan(median_gradient_ratio([{"train/loss": 1.0}])) and math.isnan(median_gradient_ratio([]))


def test_only_finite_numbers_can_be_drawn() -> None:
    row = {"epoch": 3, "train/loss": 0.5, "selection_score": math.nan, "note": "text"}
    assert finite_numbers(row) == {"train/loss": 0.5}
