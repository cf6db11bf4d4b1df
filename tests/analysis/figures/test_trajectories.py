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
        own = own[own["visit"] == row.visit]
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


def test_single_patients_are_not_handed_out(tmp_path: Path) -> None:
    report = build(load([make_results(tmp_path / "lus")]).studies, draws=100)
    names = {drawing.name for drawing in report.drawings}
    assert names - {drawing.name for drawing in shareable(report).drawings} == {"trajectories-lus"}
