"""Order and class come out right, or both rows are named: what tells the time twice must tell the same."""

import pytest

from learner_ray.cohort import load
from learner_ray.cohort.manifest import read_unscored
from learner_ray.core.errors import UserError

OTHER = ("b.mp4", "Q1", "300")
"""A second patient's only scan, without its times."""


@pytest.fixture
def timed(write_manifest):
    """Writes a manifest of one patient whose visits have these times and scores, in the order given."""

    def write(columns, times, scores=None, patient="P1"):
        scores = scores or [str(300 + 30 * i) for i in range(len(times))]
        rows = [(f"a{i}.mp4", patient, *t, s) for i, (t, s) in enumerate(zip(times, scores, strict=True))]
        other = [*OTHER[:2], *times[0], OTHER[2]]
        return write_manifest([*rows, tuple(other)], ("path", "patient", *columns, "score"))

    return write


def order(path):
    visits = load(path, modality="lus").visits()
    return visits.loc[visits["patient"] == "P1", "visit"].tolist()


def fault(path) -> str:
    with pytest.raises(UserError) as caught:
        load(path, modality="lus")
    return str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        ["-9", "-5", "0"],
        ["day -7", "day 0", "day 3"],
        ["Week \u22124", "Week 0", "Week 12"],
        ["V -1", "V0", "V1"],
        ["m06", "y1", "y2"],
        ["w4", "m03", "m06"],
        ["d3", "w1", "w4"],
        ["bl", "M006", "M012"],
        ["ses-01", "ses-02", "ses-10"],
    ],
)
def test_visits_in_disorder_come_out_in_the_order_of_their_times(timed, labels):
    """The score rises by 30 from visit to visit, so every pair is better."""
    scores = {label: str(300 + 30 * i) for i, label in enumerate(labels)}
    shuffled = [labels[1], labels[0], labels[2]]
    path = timed(["visit"], [(v,) for v in shuffled], [scores[v] for v in shuffled])
    assert order(path) == labels
    assert load(path, modality="lus").pairs()["y"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["V-1", "V0", "V1"], "visit 'V-1' beside 'V0' in row 3"),
        (["m06", "2", "3"], "row 3: visit '2' is a bare number, 'm06' in row 2 is a time with a unit"),
        (["y1", "m12", "m18"], "visits 'm12' and 'y1' (row 2) of one patient have the same position in time"),
    ],
)
def test_labels_that_cannot_be_ordered_are_refused(timed, labels, told):
    assert told in fault(timed(["visit"], [(v,) for v in labels]))


def test_days_have_a_sign_and_give_order_and_interval(timed):
    path = timed(["day"], [("0",), ("-9",), ("\u22125.5",)])
    pairs = load(path, modality="lus").pairs()
    assert pairs["interval_days"].tolist() == [3.5, 5.5]
    assert pairs["pair"].tolist() == ["P1:1>2", "P1:2>3"]
    assert "row 3: day 'soon' is not a number of days" in fault(timed(["day"], [("0",), ("soon",)]))


@pytest.mark.parametrize(
    ("columns", "times", "told"),
    [
        (
            ("visit", "date"),
            [("1", "2024-05-01"), ("2", "2024-01-01")],
            "row 2: visit '1' comes after visit '2' in row 3 by date, but before it by its name",
        ),
        (
            ("visit", "day"),
            [("m06", "0"), ("m12", "-180")],
            "row 2: visit 'm06' comes after visit 'm12' in row 3 by day",
        ),
        (
            ("date", "day"),
            [("2024-01-01", "0"), ("2024-01-31", "300")],
            "row 3: is 30 days after row 2 by date, 300 by day: correct one",
        ),
        (
            ("date",),
            [("2024-01-01",), ("0024-02-01",)],
            "row 2: lies 2000 years after row 3, the same patient",
        ),
        (("day",), [("0",), ("99999",)], "row 3: lies 274 years after row 2, the same patient"),
        (
            ("visit", "date", "day"),
            [("1", "2024-01-01", "0"), ("1", "2024-01-01", "1")],
            "row 3: day differs from that of row 2, the same visit",
        ),
    ],
)
def test_times_that_contradict_each_other_name_both_rows(timed, columns, times, told):
    scores = ["300"] * len(times)
    assert told in fault(timed(columns, times, scores))


def test_what_agrees_is_no_contradiction(timed):
    times = [("late", "2024-05-01", "121.4"), ("early", "2024-01-01T08:00", "0")]
    assert order(timed(["visit", "date", "day"], times)) == ["early", "late"]
    times = [("V2", "2024-05-01"), ("V1", "2024-01-01"), ("unscheduled", "2024-03-01")]
    assert order(timed(["visit", "date"], times)) == ["V1", "unscheduled", "V2"]


def test_shifted_years_are_a_note(timed):
    cohort = load(timed(["date"], [("1901-01-01",), ("1901-03-01",)]), modality="lus")
    (note,) = cohort.notes
    assert note.startswith("3 dates lie before 1925 or after 2099, the first in row 2: taken to be shifted")
    assert cohort.pairs()["interval_days"].tolist() == [59]


def test_scans_to_be_predicted_are_ordered_and_refused_alike(timed):
    scans = read_unscored(timed(["visit"], [("0",), ("-9",), ("-5",)]))
    assert scans.loc[scans["patient"] == "P1", "order"].tolist() == [0, -9, -5]
    with pytest.raises(UserError, match="visit 'V-1' beside 'V0' in row 3"):
        read_unscored(timed(["visit"], [("V-1",), ("V0",)]))
