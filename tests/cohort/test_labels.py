"""A visit label is understood as a whole, or refused: an order is right, or there is none."""

import random
from fractions import Fraction
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort.labels import clashes, parse_label, positions


@pytest.mark.parametrize(
    ("text", "kind", "value", "word"),
    [
        ("-9", "number", -9, ""),
        ("+3", "number", 3, ""),
        ("1.5", "number", Fraction(3, 2), ""),
        ("\u22125", "number", -5, ""),
        ("\uff12", "number", 2, ""),
        ("day -7", "time", -7, "day"),
        ("Week \u22124", "time", -4, "week"),
        ("-4 weeks", "time", -4, "week"),
        ("M006", "time", 6, "month"),
        ("ses-M006", "time", 6, "month"),
        ("2mo", "time", 2, "month"),
        ("y1", "time", 1, "year"),
        ("bl", "baseline", 0, ""),
        ("Screening", "baseline", 0, ""),
        ("V2", "index", 2, "visit"),
        ("visit 3", "index", 3, "visit"),
        ("V -1", "index", -1, "visit"),
        ("V-1", "index", 1, "visit"),
        ("ses-06", "index", 6, "ses"),
    ],
)
def test_what_a_label_says(text, kind, value, word):
    label = parse_label(text)
    assert label is not None
    assert (label.kind, label.value, label.word) == (kind, value, word)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1 2",
        "2024-01",
        "week-4",
        "V\u22121",
        "ses--4",
        "1,5",
        "V2.10",
        "pre 6",
        "2nd",
        "1\u00b2",
        "\u2163",
        "\u0663",
    ],
)
def test_what_could_mean_two_things_or_none_is_refused(text):
    assert parse_label(text) is None


def clash(*texts):
    return clashes({row: (text, parse_label(text)) for row, text in enumerate(texts, start=2)})


@pytest.mark.parametrize(
    ("texts", "row", "other"),
    [
        (("1", "V2"), 3, 2),
        (("m06", "2"), 3, 2),
        (("m06", "V2"), 3, 2),
        (("V1", "scan 2"), 3, 2),
        (("V-1", "V0"), 2, 3),
        (("V1", "V-1"), 3, 2),
        (("V-1", "bl"), 2, 3),
        (("ses-06", "ses12"), 2, 3),
    ],
)
def test_labels_without_a_common_scale_are_told_with_both_rows(texts, row, other):
    ((told, fault),) = clash(*texts)
    assert told == row and f"in row {other}" in fault


def test_what_has_a_common_scale_is_no_clash():
    assert not clash("bl", "m06", "y1", "week -4")
    assert not clash("bl", "V1", "visit 2")
    assert not clash("ses-bl", "ses-06")


def test_units_are_converted_and_one_unit_stays_as_written():
    def stand(*texts):
        return positions([parse_label(text) for text in texts])

    assert stand("m12", "bl", "m06") == [12, 0, 6]
    months, year, two = stand("m06", "y1", "y2")
    assert months < year < two and stand("m12", "y1")[0] == year
    assert stand("w4", "d3", "w1", "m03") == [28, 3, 7, 91.3125]


DAYS = MappingProxyType({"day": Fraction(1), "week": Fraction(7), "month": Fraction(1461, 48)})
SHORT = MappingProxyType({"day": "d", "week": "wk", "month": "m"})


def written(draw: random.Random, kind: str, number: int, unit: str) -> str:
    """One of the ways to write a time, an index or a number; some of them can be taken for another."""
    sign, size = ("-" if number < 0 else ""), abs(number)
    minus = draw.choice(["-", "\u2212"]) if sign else ""
    if kind == "number":
        return draw.choice([f"{minus}{size}", f"{minus}0{size}", f" {minus}{size} "])
    if kind == "index":
        forms = [f"V {minus}{size}", f"visit {minus}{size}", f"V{minus}{size}", f"v_{minus}{size}"]
        return draw.choice(forms if sign else [*forms, f"V-{size}"])
    short = SHORT[unit]
    forms = [
        f"{minus}{size}{short}",
        f"{minus}{size} {unit}s",
        f"{unit} {minus}{size}",
        f"{short}{minus}{size}",
    ]
    forms += [f"{unit.title()}_{minus}{size}", f"ses-{short}{minus}{size}", f"{minus}{size}_{unit}"]
    return draw.choice(forms)


@given(
    st.lists(st.integers(-40, 40), min_size=2, max_size=6, unique=True),
    st.sampled_from(["number", "time", "index", "mixed"]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_the_order_is_the_true_one_or_there_is_none(numbers, kind, one_unit, seed):
    """However the visits of a patient are written. That zero is written without a hyphen is part of the deal:
    where every index is negative and joined by a hyphen, nobody can tell."""
    draw = random.Random(seed)
    visits, labels = {}, {}
    for number in numbers:
        this = draw.choice(["number", "time", "index"]) if kind == "mixed" else kind
        unit = "month" if one_unit else draw.choice([*DAYS])
        true = number * DAYS[unit] if this == "time" else Fraction(number)
        visits[len(visits)] = (this, true, parse_label(written(draw, this, number, unit)))
        labels[len(visits)] = visits[len(visits) - 1][2]
    anchor = parse_label({"number": "0", "time": "bl", "index": "V0", "mixed": "V0"}[kind])
    read = [label for *_, label in visits.values()]
    rows = {row: (str(row), label) for row, label in enumerate([anchor, *read])}
    if None in read or clashes(rows):
        return
    stand = positions([anchor, *read])[1:]
    true = [true for _, true, _ in visits.values()]
    for i in range(len(true)):
        for j in range(len(true)):
            assert (stand[i] < stand[j]) == (true[i] < true[j])
