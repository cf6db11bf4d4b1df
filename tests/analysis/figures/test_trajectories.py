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
        own = own[own["visit"] == row.visit - 1]
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
    assert list(first["visit"]) == [1, 2]
    later = scores[(scores["patient"] == "p0000") & (scores["arm"] == "mse") & (scores["visit"] == 0)]
    assert first["score"].iloc[1] == pytest.approx(later["score"].mean()), "rank 10 is after rank 9"


def test_no_date_of_a_visit_is_written(tmp_path: Path) -> None:
    """Folders of earlier versions name visits as the manifest does."""
    folder = make_results(tmp_path / "lus")
    scores = pd.read_parquet(folder / "scores.parquet")
    dates = scores["visit"].map({0: "2031-05-06", 1: "2031-07-08"})
    scores.assign(visit=dates).to_parquet(folder / "scores.parquet")
    (study,) = load([folder]).studies
    drawing = trajectories(study_statistics(study, draws=100))
    assert drawing is not None and "2031" not in drawing.data.to_csv() + drawing.svg


@pytest.mark.parametrize("lost", ["rows", "file", "column"])
def test_without_predicted_scores_there_is_a_report_without_the_figure(tmp_path: Path, lost: str) -> None:
    folder = make_results(tmp_path / "lus")
    scores = pd.read_parquet(folder / "scores.parquet")
    if lost == "file":
        (folder / "scores.parquet").unlink()
    elif lost == "rows":
        scores.iloc[:0].to_parquet(folder / "scores.parquet")
    else:
        scores.drop(columns="visit").to_parquet(folder / "scores.parquet")
    (study,) = load([folder]).studies
    assert trajectories(study_statistics(study, draws=100)) is None


def test_single_patients_are_not_handed_out(tmp_path: Path) -> None:
    report = build(load([make_results(tmp_path / "lus")]).studies, draws=100)
    names = {drawing.name for drawing in report.drawings}
    assert names - {drawing.name for drawing in shareable(report).drawings} == {"trajectories-lus"}
