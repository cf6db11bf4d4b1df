"""Runs lie beside their study, however it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.results.run_files import read_progress


def test_runs_are_found_beside_a_study_that_is_named_from_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: no learning curve, no embedding and no check of the runs in a report of '.'."""
    folder = make_results(tmp_path / "lus")
    run = tmp_path / "runs" / "abc"
    run.mkdir(parents=True)
    (run / "progress.jsonl").write_text('{"epoch": 1, "selection_score": 0.5}\n')
    monkeypatch.chdir(folder)
    for name in (folder, Path(".")):
        (study,) = load([name]).studies
        assert read_progress(study, "abc") == [{"epoch": 1, "selection_score": 0.5}]
