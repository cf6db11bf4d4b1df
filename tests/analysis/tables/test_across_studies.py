"""Studies beside each other."""

from make_results import change_ledger, make_results

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
    moved = table.data["tuned_rank"] != table.data["fixed_rank"]
    assert ((table.data["flip"] != "") == moved).all() and len(table.data) == 3


def test_a_rank_flip_is_two_orders_that_are_both_beyond_chance(tmp_path):
    """Seen: two arms a hair's breadth apart, whose values changed places, were a flip."""
    for name, right in (("tuned", "weighted"), ("fixed", "contrastive")):
        change_ledger(
            make_results(tmp_path / name),
            lambda ledger, right=right: ledger.assign(
                y_pred=ledger["y_pred"].mask(ledger["arm"] == right, ledger["y_true"])
            ),
        )
    (tmp_path / "fixed/trials.parquet").unlink()
    studies = load([tmp_path / "tuned", tmp_path / "fixed"]).studies
    table = tuned_and_fixed([study_statistics(study, draws=500) for study in studies])
    flips = table.data.set_index("arm")["flip"]
    assert flips["weighted"] == "flip with MSE + Contrastive Loss"
    assert flips["contrastive"] == "flip with MSE + Weighted Contrastive Loss"
    assert flips["mse"] in ("", "cannot be told"), "below the best in both"
