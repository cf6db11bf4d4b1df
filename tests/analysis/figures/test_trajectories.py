"""Single patients are drawn as they were, whom nobody chose by how well they were predicted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.building import build
from analysis.figures.trajectories import PATIENTS, trajectories
from analysis.results.load import load
from analysis.results.patient_numbers import patient_numbers
from analysis.sharing import shareable
from analysis.statistics.study_statistics import study_statistics
from tests.analysis.make_results import make_results


def test_the_figure_has_the_means_of_the_scores_file(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    (study,) = load([folder]).studies
    drawing = trajectories(study_statistics(study, draws=100))
    assert drawing is not None
    scores = pd.read_parquet(folder / "scores.parquet")
    scores["patient"] = scores["patient"].map(patient_numbers(study))
    for row in drawing.data.itertuples():
        own = scores[(scores["arm"] == row.arm) & (scores["patient"] == row.patient)]
        own = own[own["visit"].astype(str) == str(row.visit)]
        assert row.predicted == pytest.approx(own["predicted"].mean())
        assert row.score == pytest.approx(own["score"].mean())
        assert row.run_hashes.split(";") == sorted(set(own["run_hash"]))


def test_the_choice_of_patients_does_not_rest_on_predictions(tmp_path: Path) -> None:
    chosen = []
    for name in ("one", "two"):
        folder = make_results(tmp_path / name)
        scores = pd.read_parquet(folder / "scores.parquet")
        if name == "two":
            scores["predicted"] = np.random.default_rng(0).permutation(scores["predicted"])
            scores.to_parquet(folder / "scores.parquet")
        (study,) = load([folder]).studies
        drawing = trajectories(study_statistics(study, draws=100))
        assert drawing is not None
        chosen.append(sorted(set(drawing.data["patient"])))
    assert chosen[0] == chosen[1] and len(chosen[0]) == PATIENTS


def test_a_patient_without_a_pair_is_not_drawn(tmp_path: Path) -> None:
    """Seen: OASIS-2 has patients of one visit, whose scans are scored and who have no number."""
    folder = make_results(tmp_path / "lus")
    scores = pd.read_parquet(folder / "scores.parquet")
    alone = scores.iloc[:2].assign(patient="without-a-pair", visit=[0, 1])
    pd.concat([alone, scores]).to_parquet(folder / "scores.parquet")
    (study,) = load([folder]).studies
    drawing = trajectories(study_statistics(study, draws=100))
    assert drawing is not None
    assert set(drawing.data["patient"]) <= set(patient_numbers(study).values())


def test_visits_are_in_the_order_of_their_ranks(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    scores = pd.read_parquet(folder / "scores.parquet")
    scores.assign(visit=scores["visit"].map({0: "10", 1: "9"})).to_parquet(folder / "scores.parquet")
    (study,) = load([folder]).studies
    drawing = trajectories(study_statistics(study, draws=100))
    assert drawing is not None
    first = drawing.data[(drawing.data["patient"] == 1) & (drawing.data["arm"] == "mse")]
    assert list(first["visit"]) == [9, 10]


def test_single_patients_are_not_handed_out(tmp_path: Path) -> None:
    report = build(load([make_results(tmp_path / "lus")]).studies, draws=100)
    names = {drawing.name for drawing in report.drawings}
    assert names - {drawing.name for drawing in shareable(report).drawings} == {"trajectories-lus"}
