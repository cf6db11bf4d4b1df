"""What the search promised and what the test gave."""

import pandas as pd
import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.search import overtuning


def test_the_overtuning_table_tells_luck_from_optimism(tmp_path):
    folder = make_results(tmp_path / "lus", audits=1)
    trials = pd.read_parquet(folder / "trials.parquet")
    complete = trials[trials["state"] == "complete"]
    best = complete.loc[complete.groupby(["arm", "repeat", "fold"])["selection_score"].idxmax()]
    columns = ["arm", "repeat", "fold", "run_hash", "state"]
    audits = best[columns].assign(seed=0, selection_score=best["selection_score"] - 0.25)
    audits.to_parquet(folder / "audits.parquet")
    table = overtuning([study_statistics(load([folder]).studies[0], draws=100)])
    assert table.data["luck"].to_numpy() == pytest.approx(0.25)
    assert len(table.data) == len(best)
    (folder / "audits.parquet").unlink()
    study = load([folder]).studies[0]
    assert any("audits.parquet is missing" in problem for problem in study.problems)
    assert overtuning([study_statistics(study, draws=100)]).data["luck"].isna().all()
