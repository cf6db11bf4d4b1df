"""The subgroups as a reader sees them: tables, sentences and the forest plot, alike in all numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_results import change_ledger, fail_runs, make_results

from analysis.building import all_tables
from analysis.figures.subgroups import subgroup_forest
from analysis.page.page import Report, html
from analysis.results.load import load
from analysis.statistics.study_statistics import StudyStatistics, study_statistics
from analysis.tables.render import latex, markdown
from analysis.tables.subgroups import subgroup_table
from analysis.tables.table import Table


def reported(folder: Path) -> tuple[StudyStatistics, dict[str, Table], str]:
    """The statistics of a study, its tables by name, and the page without figures."""
    (study,) = load([folder]).studies
    statistics = study_statistics(study, 300)
    tables = all_tables([statistics])
    page = html(Report(statistics=[statistics], tables=tables, drawings=[]))
    return statistics, {table.name: table for table in tables}, page


@pytest.fixture(scope="module")
def two_sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyStatistics, dict[str, Table], str]:
    """Sites A and B; sexes in part unknown; no ages; every interval a week."""
    folder = make_results(tmp_path_factory.mktemp("two_sites") / "lus")

    def known(ledger):
        number = ledger["patient"].str[1:].astype(int)
        sex = np.select([number % 5 == 0, number % 5 < 3], ["", "F"], "M")
        return ledger.assign(sex=sex, age=np.nan, interval_days=7.0)

    change_ledger(folder, known)
    return reported(folder)


def test_every_grouping_is_a_panel_a_test_or_a_note(two_sites) -> None:
    _, tables, page = two_sites
    panels = dict(tables["subgroups"].panels)
    assert [head.split(": ", 1)[1].split(" (")[0] for head in panels] == [
        "Site", "Device", "Earlier S/F ratio", "Sex"
    ]  # fmt: skip
    assert list(dict.fromkeys(panels["LUS: Sex"].index)) == ["F", "M", "not recorded"]
    assert len(tables["heterogeneity"].data) == 2 * 4
    note = "one level: Interval between visits (7 days); not recorded: SpO2 at the earlier visit, Age at the"
    assert any(note in text for text in tables["subgroups"].notes) and note in page
    assert "Subgroups (exploratory)" in page and "supported" not in markdown(tables["heterogeneity"]).replace(
        "nothing here is supported", ""
    )


def test_printed_sizes_add_up_to_the_cohort(two_sites) -> None:
    statistics, tables, _ = two_sites
    pairs = statistics.study.compared.drop_duplicates("pair")
    for head, panel in tables["subgroups"].panels:
        rows = panel[panel["Pairs"] != ""]
        assert rows["Pairs"].astype(int).sum() == len(pairs), head
        classes = np.array([list(map(int, cell.split("/"))) for cell in rows["Worse/same/better"]])
        assert classes.sum(0).tolist() == pairs["y_true"].value_counts().sort_index().tolist()


def test_the_csv_has_controls_and_the_rule_of_the_cut_and_the_page_has_not(two_sites) -> None:
    _, tables, _ = two_sites
    data = tables["subgroups"].data
    assert "majority" in set(data["arm"])
    assert not any("Majority" in cell for _, panel in tables["subgroups"].panels for cell in panel["Arm"])
    cut = data.loc[data["grouping"] == "score_earlier", "rule"].unique()
    assert len(cut) == 1 and cut[0].startswith("cut at the median of all pairs, ")
    assert (data["run_hashes"] != "").all()


def test_both_tables_are_latex_and_the_forest_has_the_table_s_numbers(two_sites) -> None:
    statistics, tables, _ = two_sites
    assert all(r"\bottomrule" in latex(tables[name]) for name in ("subgroups", "heterogeneity"))
    drawing = subgroup_forest(statistics)
    assert drawing is not None and "<svg" in drawing.svg
    table = tables["subgroups"].data.set_index(["grouping", "level", "arm"])["difference_low"].dropna()
    drawn = drawing.data.set_index(["grouping", "level", "arm"])["difference_low"].dropna()
    assert set(drawn.index.get_level_values("arm")) == {"contrastive", "weighted"}
    assert drawn.to_dict() == table.loc[drawn.index].to_dict()


def test_a_planted_heterogeneity_is_said_and_only_of_its_grouping(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")

    def planted(ledger):
        own = (ledger["arm"] == "contrastive") & (ledger["site"] == "A")
        return ledger.assign(y_pred=ledger["y_pred"].where(~own, ledger["y_true"]))

    change_ledger(folder, planted)
    _, tables, page = reported(folder)
    tests = tables["heterogeneity"].data
    varies = tests[tests["reading"] == "varies (exploratory)"]
    assert varies[["grouping", "arm"]].to_numpy().tolist() == [["site", "contrastive"]]
    assert "the difference of MSE + Contrastive Loss to MSE Loss varies with Site (Holm p" in page


def test_an_old_ledger_without_any_of_the_columns_has_no_tables(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    change_ledger(
        folder,
        lambda t: t.drop(columns=["site", "device", "interval_days", "score_earlier"], errors="ignore"),
    )
    statistics, tables, page = reported(folder)
    assert not {"subgroups", "heterogeneity"} & set(tables) and subgroup_forest(statistics) is None
    assert "not compared by subgroup (not recorded: Site, Device, Interval between visits" in page


def test_failed_runs_are_marked_as_in_the_main_table(tmp_path: Path) -> None:
    folder = make_results(tmp_path / "lus")
    fail_runs(folder, arm="weighted", fold=1, seed=0)
    _, tables, _ = reported(folder)
    assert any("†" in label for _, panel in tables["heterogeneity"].panels for label in panel.index)
    assert any(caution.startswith("†") for caution in tables["subgroups"].cautions)


def test_a_metric_that_a_level_does_not_define_is_no_matter_of_folds(tmp_path: Path) -> None:
    """In site B nobody gets worse, in site C one patient: recall has no value there, or no interval."""
    folder = make_results(tmp_path / "lus", primary_metric="recall_worse")

    def sites(ledger):
        worse = ledger["patient"].isin(ledger.loc[ledger["y_true"] == 0, "patient"])
        number = ledger["patient"].str[1:].astype(int)
        one = number == number[worse].min()
        return ledger.assign(site=np.select([one | (~worse & (number % 2 == 1)), ~worse], ["C", "B"], "A"))

    change_ledger(folder, sites)
    (study,) = load([folder]).studies
    table = subgroup_table([study_statistics(study, 200)])
    panel = dict(table.panels)["LUS: Site"]
    assert min(table.data.query("grouping == 'site'")["patients"]) >= 10
    shown = {level: list(panel.loc[[level]].iloc[0])[3:] for level in panel.index.unique()}
    assert shown["B"] == ["MSE Loss", "–", "reference"]
    assert shown["C"][1].endswith(" [–]") and "nan" not in markdown(table)
