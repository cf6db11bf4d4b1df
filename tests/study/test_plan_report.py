"""What a plan says of the smallest difference that its study could find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.statistics.metrics import METRICS
from analysis.statistics.simulated_studies import DEFAULT_NOISE, Arms, Design, simulated_ledger
from learner_ray.study.plan_report import detectable_text
from learner_ray.study.sample_size import noise_seen


@pytest.mark.parametrize("name", METRICS.built_in)
def test_the_difference_is_told_in_the_unit_and_direction_of_the_primary_metric(name: str) -> None:
    """Seen: *about 0.12 macro-F1*, whatever the study's primary metric was."""
    metric = METRICS[name]
    said = detectable_text(metric.sign * 0.125, metric, "5 folds", "mse")
    than = "higher" if metric.higher_is_better else "lower"
    assert f"{metric.label} about 0.12 {than}, which is better" in said and "5 folds" in said
    assert metric.label in detectable_text(None, metric, "5 folds", "mse")
    assert "not known" in detectable_text(-metric.sign * 0.1, metric, "5 folds", "mse")


def test_a_study_that_has_final_runs_is_planned_with_their_noise(tmp_path: Path) -> None:
    """Also: of a study without any, or with a damaged table, the noise is as assumed, and it is said."""
    path = tmp_path / "ledger.parquet"
    assert noise_seen(path, "reference", ["arm1"]) == (DEFAULT_NOISE, "noise as assumed")
    path.write_bytes(b"cut off")
    assert noise_seen(path, "reference", ["arm1"])[1] == "noise as assumed"
    ledger = simulated_ledger(np.random.default_rng(0), Design(patients=40, seeds=2), Arms())
    ledger["pair"] = ledger.groupby(["arm", "repeat", "seed", "patient"]).cumcount()
    ledger["run_hash"] = ledger["arm"] + ledger["fold"].astype(str) + "-" + ledger["seed"].astype(str)
    ledger.to_parquet(path)
    noise, said = noise_seen(path, "reference", ["arm1"])
    assert noise != DEFAULT_NOISE and said == "noise fitted to 20 final runs of this study"
