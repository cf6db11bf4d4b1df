"""Rows without a score are left out by one rule, counted and listed; a code is one only if it is named."""

import pytest

from learner_ray.cli import cohort
from learner_ray.cli.missing_codes import joined
from learner_ray.cli.options import sweep_parser
from learner_ray.cohort import load
from learner_ray.cohort.missing import Listed, is_missing
from learner_ray.core.errors import UserError
from tests.cohort.rows import VALID


@pytest.mark.parametrize("cell", ["", "  ", "n/a", "N/A", "NaN", "-4", "-4.0", " -99", "Unknown"])
def test_what_stands_for_no_score(cell):
    assert is_missing(cell, ("-4", "-99", "unknown"))


@pytest.mark.parametrize("cell", ["0", "-1", "4", "?"])
def test_what_does_not(cell):
    assert not is_missing(cell, ("-4", "-99", "unknown"))


def test_rows_without_a_score_are_left_out_and_listed(write_manifest):
    rows = [*VALID, ("c.mp4", "P3", "1", ""), ("d.mp4", "P3", "2", "-4"), ("absent.mp4", "P3", "3", "N/A")]
    found = load(write_manifest(rows), modality="lus", missing=("-4",))
    assert found.summary()["scans"] == 4
    assert found.notes == ("3 of 7 rows left out: no score (row 6, 7, 8)",)
    assert found.listed == Listed(scans=7, patients=3, left_out={"no score": 3})


def test_a_code_that_is_not_named_is_a_fault(write_manifest):
    path = write_manifest([*VALID, ("d.mp4", "P3", "2", "-4")])
    with pytest.raises(UserError, match=r"row 6: score -4 is outside 40 to 477.*--missing"):
        load(path, modality="lus")


def test_a_table_without_any_score(write_manifest):
    with pytest.raises(UserError, match=r"lists no scan; 1 of 1 rows left out: no score \(row 2\)"):
        load(write_manifest([("a.mp4", "P1", "1", "")]), modality="lus")


def test_codes_that_begin_with_a_minus_are_no_options():
    for parser, first in ((sweep_parser("sweep"), "lus"), (cohort.parser(), "check")):
        given = joined([first, *(["scans"] if first == "check" else []), "--missing", "-1,-4"])
        assert parser.parse_args(given).missing == ("-1", "-4")
