"""Studies beside each other."""

from make_results import make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.across_studies import tuned_and_fixed


def test_tuned_and_fixed_studies_of_one_cohort_meet_in_a_table(tmp_path):
    for name in ("tuned", "fixed"):
        make_results(tmp_path / name, seed=int(name == "fixed"))
    (tmp_path / "fixed/trials.parquet").unlink()
    statistics = [
        study_statistics(s, draws=100) for s in load([tmp_path / "tuned", tmp_path / "fixed"]).studies
    ]
    table = tuned_and_fixed(statistics)
    assert table is not None
    expected = table.data["tuned_rank"] != table.data["fixed_rank"]
    assert (table.data["flip"] == expected).all() and len(table.data) == 3
