"""Subgroups: who is in which level, to the row, and whether a difference that varies is told from one that
does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_results import make_ledger, make_results

from analysis.results.load import load
from analysis.results.study import StudyResults
from analysis.statistics.confusion_counts import confusion_counts
from analysis.statistics.estimate import estimate
from analysis.statistics.groupings import NOT_RECORDED, Grouping, groupings
from analysis.statistics.heterogeneity import heterogeneity
from analysis.statistics.influence import influence
from analysis.statistics.metrics import METRICS
from analysis.statistics.simulated_levels import Levels
from analysis.statistics.simulated_studies import DEFAULT_NOISE as NOISE
from analysis.statistics.simulated_studies import Design, effect_for, share
from analysis.statistics.simulated_subgroups import simulated_subgroups
from analysis.statistics.standing import standing_of
from analysis.statistics.subgroups import FEWEST_PATIENTS, GroupingComparison, study_subgroups

MACRO_F1, ACCURACY = METRICS["macro_f1"], METRICS["accuracy"]
SCORE = {"name": "S/F ratio", "unit": ""}
TWO = make_ledger({"mse": 0.0, "a": 0.0})
TWO["interval_days"] = TWO["pair"].map({pair: 1 + i % 29 for i, pair in enumerate(TWO["pair"].unique())})
"""Two arms, 60 patients, and intervals that differ within patients."""


def by_column(ledger: pd.DataFrame) -> dict[str, Grouping]:
    return {grouping.column: grouping for grouping in groupings(ledger, SCORE)}


def pairs_of(**columns: list[object]) -> pd.DataFrame:
    """One row per pair, of a patient each."""
    count = len(next(iter(columns.values())))
    names = [f"p{i}" for i in range(count)]
    return pd.DataFrame({"patient": names, "pair": names, **columns})


def compared(ledger: pd.DataFrame, column: str, arms: tuple[str, ...] = ("mse", "a")) -> GroupingComparison:
    return GroupingComparison(ledger, by_column(ledger)[column], arms, "mse", arms[1:], MACRO_F1)


@given(st.lists(st.one_of(st.none(), st.integers(1, 6)), min_size=1, max_size=30))
def test_a_cut_parts_the_known_pairs_into_two_halves_at_their_median(days: list[int | None]) -> None:
    """Every pair has one level; the unknown are called so; no half is empty unless all values are equal."""
    found = by_column(pairs_of(interval_days=[np.nan if d is None else float(d) for d in days]))
    grouping = found["interval_days"]
    known = [d for d in days if d is not None]
    assert set(grouping.of_row) == set(grouping.levels)
    assert (grouping.of_row == NOT_RECORDED).sum() == len(days) - len(known)
    assert len(grouping.known) == min(len(set(known)), 2)
    if len(grouping.known) == 2:
        median = np.median(known)
        lower = [d for d, level in zip(days, grouping.of_row, strict=True) if level == grouping.known[0]]
        inside = (lambda d: d < median) if median == max(known) else (lambda d: d <= median)
        assert sorted(lower) == sorted(d for d in known if inside(d))


def test_a_cut_is_taken_over_pairs_and_says_its_unit() -> None:
    """Rows are many per pair: three runs of the first pair must not draw the median towards it."""
    ledger = pairs_of(interval_days=[1.0, 2.0, 3.0, 4.0])
    ledger = pd.concat([ledger, *[ledger.iloc[:1]] * 5], ignore_index=True)
    grouping = by_column(ledger)["interval_days"]
    assert grouping.levels == ("≤ 2.5 days", "> 2.5 days") and "2.5 days" in grouping.rule


def test_saturation_is_cut_at_97_per_cent_whatever_the_cohort() -> None:
    grouping = by_column(pairs_of(spo2=[97.0, 97.5, np.nan, 80.0]))["spo2"]
    assert list(grouping.of_row) == ["≤ 97 %", "> 97 %", NOT_RECORDED, "≤ 97 %"]


def test_unknown_values_and_missing_columns_are_not_recorded() -> None:
    found = by_column(pairs_of(site=["A", "", "B", None], sex=["F", "M", "", "F"]))
    assert found["site"].levels == ("A", "B", NOT_RECORDED) and found["site"].known == ("A", "B")
    assert list(found["sex"].of_row) == ["F", "M", NOT_RECORDED, "F"]
    for column in ("device", "interval_days", "score_earlier", "spo2", "age"):
        assert found[column].levels == (NOT_RECORDED,) and not found[column].known


def test_sizes_are_right_to_the_row_and_a_patient_of_two_levels_counts_in_both() -> None:
    grouping = by_column(TWO)["interval_days"]
    rows = compared(TWO, "interval_days").levels()
    pairs = TWO.drop_duplicates("pair")
    cut = pairs["interval_days"].median()
    shared = 0
    for level, own in zip(
        grouping.levels,
        (pairs[pairs["interval_days"] <= cut], pairs[pairs["interval_days"] > cut]),
        strict=True,
    ):
        row = rows[(rows["level"] == level) & (rows["arm"] == "a")].iloc[0]
        counts = [int((own["y_true"] == c).sum()) for c in range(3)]
        assert row[["patients", "pairs", "worse", "same", "better"]].tolist() == [
            own["patient"].nunique(), len(own), *counts
        ]  # fmt: skip
        shared += row["patients"]
        inside = TWO[TWO["pair"].isin(own["pair"])]
        alone = estimate(confusion_counts(inside), {"a": 1.0, "mse": -1.0}, MACRO_F1)
        assert row["difference"] == pytest.approx(alone.value, abs=1e-12)
        assert [row["difference_low"], row["difference_high"]] == pytest.approx(alone.interval(), rel=1e-6)
    assert shared > pairs["patient"].nunique()


def test_two_levels_without_a_common_patient_are_the_two_sample_t() -> None:
    """Accuracy, one fold, one pair a patient: by hand."""
    rng = np.random.default_rng(0)
    level, right = np.arange(80) % 2, rng.random((2, 80)) < 0.6
    frames = [
        pd.DataFrame(
            {"arm": f"{arm}{k}", "repeat": 0, "fold": 0, "seed": 0, "patient": np.flatnonzero(level == k),
             "y_true": 1, "y_pred": right[a][level == k].astype(int)}
        )
        for a, arm in enumerate("ab") for k in (0, 1)
    ]  # fmt: skip
    counts = confusion_counts(pd.concat(frames))
    parts = [influence(counts, {f"a{k}": 1.0, f"b{k}": -1.0}, ACCURACY) for k in (0, 1)]
    found = heterogeneity(parts, counts.fold, counts.repeats)
    differences = [right[0][level == k].astype(float) - right[1][level == k] for k in (0, 1)]
    standard_error = np.sqrt(sum(d.var(ddof=1) / len(d) for d in differences))
    t = (differences[0].mean() - differences[1].mean()) / standard_error
    assert found.contrasts == 1 and found.f == pytest.approx(t**2, rel=0.02)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_levels_decides_nothing(order: list[int]) -> None:
    ledger = make_ledger({"mse": 0.0, "a": 0.3}, patients=80)
    of_pair = ledger["pair"].map({p: i % 4 for i, p in enumerate(ledger["pair"].unique())})
    named = ledger.assign(arm=ledger["arm"] + of_pair.astype(str))
    counts = confusion_counts(named)
    parts = [influence(counts, {f"a{k}": 1.0, f"mse{k}": -1.0}, MACRO_F1) for k in range(4)]
    first = heterogeneity(parts, counts.fold, counts.repeats)
    other = heterogeneity([parts[k] for k in order], counts.fold, counts.repeats)
    assert first.contrasts == 3 and 0 < first.p < 1
    assert [other.f, other.degrees, other.p] == pytest.approx([first.f, first.degrees, first.p])


@pytest.mark.long
def test_a_planted_heterogeneity_is_found_and_equal_differences_are_not() -> None:
    effect = effect_for(0.3, NOISE)
    design = Design(patients=150)
    _, planted = simulated_subgroups(design, 12, Levels(effects=(effect, 0.0)))
    assert share(list(planted["p"] <= 0.05))[0] > 0.7
    _, alike = simulated_subgroups(design, 40, Levels(effects=(effect, effect), of_pairs=True))
    assert share(list(alike["p"] <= 0.05))[1] <= 0.05


@pytest.mark.long
def test_intervals_of_levels_cover_and_the_test_keeps_its_level() -> None:
    """Coverage at least 93 %, error at most 5 %: no rate may contradict that (150 studies)."""
    rows, tests = simulated_subgroups(Design(), 150, Levels(shares=(0.5, 0.3, 0.2)))
    inside = (rows["difference_low"] <= 0) & (rows["difference_high"] >= 0)
    assert all(share(list(own))[2] >= 0.93 for _, own in inside.groupby(rows["level"]))
    assert share(list(tests["p"] <= 0.05))[1] <= 0.05


def test_small_levels_have_their_size_and_no_interval_and_no_part_in_the_test() -> None:
    site = dict(zip(TWO["patient"].unique(), ["A"] * 30 + ["B"] * 21 + ["C"] * 9, strict=True))
    found = compared(TWO.assign(site=TWO["patient"].map(site)), "site")
    rows = found.levels().set_index(["level", "arm"])
    assert rows.loc[("C", "a"), "patients"] == 9 < FEWEST_PATIENTS
    assert np.isnan(rows.loc[("C", "a"), ["value", "difference", "difference_low"]].astype(float)).all()
    assert np.isfinite(rows.loc[("B", "a"), "difference_low"])
    assert found.tests()["levels"].tolist() == [2]


def test_a_level_tested_by_one_fold_alone_is_not_told_from_its_run() -> None:
    found = compared(TWO.assign(site=TWO["fold"].map(str)), "site")
    assert found.estimable == [] and found.tests().empty
    assert found.levels()["patients"].sum() == 2 * 60 and found.levels()["value"].isna().all()


def test_unknown_pairs_have_a_row_and_no_part_in_the_test() -> None:
    number = TWO["patient"].str[1:].astype(int) % 3
    found = compared(TWO.assign(site=number.map({0: "A", 1: "B", 2: ""})), "site")
    assert found.levels()["level"].unique().tolist() == ["A", "B", NOT_RECORDED]
    assert found.tests()["levels"].tolist() == [2]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    (loaded,) = load([make_results(tmp_path_factory.mktemp("subgroups") / "lus")]).studies
    return loaded


def test_holm_counts_every_arm_and_grouping_and_no_word_is_supported(study: StudyResults) -> None:
    found = study_subgroups(study, MACRO_F1, standing_of(study))
    assert [g.column for g in found.groupings] == ["site", "device", "interval_days", "score_earlier"]
    assert len(found.tests) == 2 * 4
    smallest = found.tests.sort_values("p").iloc[0]
    assert smallest["p_holm"] == pytest.approx(min(8 * smallest["p"], 1))
    assert not found.tests["reading"].str.contains("supported").any()


def test_an_unfinished_study_has_numbers_and_no_tests(study: StudyResults) -> None:
    ledger = study.ledger
    lost = ledger[~((ledger["arm"] == "weighted") & (ledger["seed"] == 1))]
    found = study_subgroups(replace(study, ledger=lost), MACRO_F1, standing_of(study))
    assert found.tests.empty and found.levels["difference"].notna().any()


def test_groupings_that_divide_alike_are_tested_once(study: StudyResults) -> None:
    same = replace(study, ledger=study.ledger.assign(device=study.ledger["site"].map({"A": "x", "B": "y"})))
    found = study_subgroups(same, MACRO_F1, standing_of(study))
    assert [(g.column, like.column) for g, like in found.alike] == [("device", "site")]
    assert "device" not in set(found.tests["grouping"])


def test_where_runs_failed_the_larger_p_of_both_ways_stands() -> None:
    """A reference that died in one fold: with the other arm's predictions there, nothing of it varies."""
    dead = (TWO["arm"] == "mse") & (TWO["fold"] == 0)
    failed = TWO.assign(imputed=dead, y_pred=TWO["y_pred"].where(~dead, 1))
    both = compared(failed, "site").tests()["p"].item()
    counted = compared(failed.drop(columns="imputed"), "site").tests()["p"].item()
    assert both >= counted
