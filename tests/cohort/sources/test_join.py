"""Which score belongs to which scan: the nearest in the window, ties the earlier, each with its distance."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort.dates import Moment, parse_date
from learner_ray.cohort.sources.importer import FoundScan, ScoreRow
from learner_ray.cohort.sources.join import join, of_one_visit, one_visit_per_score


def scan(when=None, name="a.nii", patient="sub-01", **more):
    return FoundScan(path=Path(name), patient=patient, when=at(when), **more)


def score(row, value, when=None, patient="1", **more):
    return ScoreRow(table=Path("t.csv"), row=row, patient=patient, when=at(when), score=value, **more)


def at(when):
    return parse_date(when) if isinstance(when, str) else when


def one(scans, scores, window=90):
    joined, left = join(scans, scores, window)
    return [(each.score.row, each.rule, each.distance) for each in joined], [each.reason for each in left]


DAYS = st.floats(-200, 200).map(lambda day: Moment(days=day, clock=True, dated=False))


@given(DAYS, st.lists(DAYS, min_size=1, max_size=8), st.floats(0, 100))
def test_the_nearest_score_in_the_window_counts_of_ties_the_earlier(when, days, window):
    rows = [score(i, float(i), day) for i, day in enumerate(days)]
    found, _ = join([scan(when)], rows, window)
    near = [d.days - when.days for d in days if abs(d.days - when.days) <= window]
    if not near:
        assert not found
    else:
        assert abs(found[0].distance) == min(map(abs, near))
        assert found[0].distance == min(d for d in near if abs(d) == min(map(abs, near)))


def test_the_rules_in_their_order():
    rows = [
        score(2, 20, "2024-01-01", visit="bl"),
        score(3, 21, "2024-02-01", visit="m06"),
        score(4, 22, "2024-03-01", image="77", patient="other"),
    ]
    assert one([scan("2024-01-02", visit="ses-M006", image="77")], rows)[0] == [(4, "scan", 59)]
    assert one([scan("2024-01-02", visit="ses-M006")], rows)[0] == [(3, "visit", 30)]
    assert one([scan("2024-01-02")], rows)[0] == [(2, "nearest", -1)]


def test_an_id_that_several_patients_have_names_a_scan_only_with_its_patient():
    scans = [scan(name="a", image="1"), scan(name="b", image="1", patient="sub-2")]
    rows = [score(2, 20, image="1"), score(3, 10, image="1", patient="2")]

    def found(some, scores):
        return {each.scan.path.name: each.score.row for each in join(some, scores, 90)[0]}

    assert found(scans, rows) == {"a": 2, "b": 3}
    assert found(scans, rows[:1]) == {"a": 2}, "shared among the scans"
    assert found(scans[1:], rows) == {"b": 3}, "shared among the scores"


def test_a_rule_without_a_score_leaves_the_scan_to_the_next():
    rows = [score(2, math.nan, "2024-01-01", image="77"), score(3, 21, "2024-02-01")]
    assert one([scan("2024-01-01", image="77")], rows)[0] == [(3, "nearest", 31)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([], "no row of this patient"),
        ([score(5, math.nan, "2024-01-01")], "missing in t.csv, row 5"),
        ([score(5, 20, "2024-05-01")], "the nearest (row 5) is 121 days away, more than 90"),
        ([score(5, 20, visit="m12")], "no row of this visit"),
    ],
)
def test_why_a_scan_has_no_score(rows, reason):
    assert one([scan("2024-01-01", visit="bl")], rows) == ([], [f"no score: {reason}"])


def test_a_score_is_the_nearest_of_one_visit_alone():
    scans = [scan("2024-01-01", "a"), scan("2024-01-20", "b"), scan("2024-01-20", "c")]
    kept, left = one_visit_per_score(join(scans, [score(2, 20, "2024-01-15")], 90)[0])
    assert [each.scan.path.name for each in kept] == ["b", "c"], "two scans of one visit"
    assert [(each.path, each.reason) for each in left] == [
        ("a", "no score: that of row 2 is nearer to 2024-01-20")
    ]


def test_of_repeats_the_first_is_taken_and_the_others_name_it():
    scans = [scan("2024-01-01", name, group="T1", rank=(rank,)) for name, rank in (("b", 2), ("a", 1))]
    kept, left = of_one_visit(join(scans, [score(2, 20, "2024-01-01")], 9)[0])
    assert [each.scan.path.name for each in kept] == ["a"]
    assert [(each.path, each.reason) for each in left] == [("b", "a repeat: a of this visit was taken")]
