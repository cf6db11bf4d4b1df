"""Folds that were not drawn at random are said below the headline, with what the tests then assume."""

from __future__ import annotations

from pathlib import Path

from make_results import make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.main_table import main_table


def notes_of(tmp_path: Path, **info: object) -> str:
    folder = make_results(tmp_path / "lus", **info)
    (study,) = load([folder]).studies
    return "\n".join(main_table([study_statistics(study, 100)]).notes)


def test_one_site_at_a_time_is_named_with_its_sizes_and_the_assumptions_of_the_test(tmp_path: Path) -> None:
    places = ["Bonn", "Kiel", "Oslo", "Rom", "Ulm"]
    info = {"division": "leave one site out", "places": places, "protocol": "nested, leave one site out"}
    said = notes_of(tmp_path, **info)
    assert "protocol nested, leave one site out; 5 folds" in said
    assert "Bonn 12, Kiel 12, Oslo 12, Rom 12, Ulm 12 patients" in said
    assert "assumes test sets drawn at random and of one size" in said and "these have 12 test" in said
    assert "say nothing of the spread between further ones" in said


def test_own_splits_name_their_file(tmp_path: Path) -> None:
    said = notes_of(tmp_path, division="own splits", splits_file={"from": "/data/own.csv"})
    assert "own splits: folds are those of /data/own.csv and were not drawn at random" in said


def test_drawn_folds_need_no_such_note(tmp_path: Path) -> None:
    assert "drawn at random" not in notes_of(tmp_path)
