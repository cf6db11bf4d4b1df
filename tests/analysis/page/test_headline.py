"""The first sentence of a report says what was found, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.page.headline import headline
from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from tests.analysis.make_results import lose_runs, make_ledger, make_results


@pytest.mark.parametrize(
    ("skill", "said"),
    [
        (0.8, "LUS: MSE + Weighted Contrastive Loss is better than MSE Loss (+"),
        (0.0, "LUS: none of 2 arms is shown to differ from MSE Loss."),
    ],
)
def test_a_difference_is_said_only_where_it_is_supported(tmp_path: Path, skill: float, said: str) -> None:
    arms = {"mse": 0.0, "contrastive": 0.0, "weighted": skill, "majority": -9.0}
    folder = make_results(tmp_path / "lus")
    make_ledger(arms).to_parquet(folder / "ledger.parquet")
    (study,) = load([folder]).studies
    assert headline(study_statistics(study, draws=100)).startswith(said)


def test_an_unfinished_study_has_no_verdict(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    lose_runs(folder, arm="weighted", fold=0)
    (study,) = load([folder]).studies
    assert headline(study_statistics(study, draws=100)) == "LUS, unfinished: no verdict yet."
