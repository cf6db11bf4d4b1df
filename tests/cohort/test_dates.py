"""A date is read as it is meant, or refused; distances are those of the calendar."""

import math
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner_ray.cohort.dates import Moment, parse_date, read_dates
from learner_ray.core.errors import UserError

FORMS = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d.%m.%Y", "%d-%b-%Y", "%d %B %Y",
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M%S", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%SZ",
]  # fmt: skip


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30)), st.sampled_from(FORMS))
def test_every_form_is_read_back(when, form):
    when = when.replace(second=0, microsecond=0)
    found = parse_date(f"{when:{form}}".rjust(len(f"{when:{form}}"), "0"))
    whole = "%H" not in form
    expected = when.replace(hour=0, minute=0) if whole else when
    assert found is not None and found.clock != whole
    assert math.isclose(found.days, (expected - datetime.min) / timedelta(days=1), rel_tol=0, abs_tol=1e-6)
    assert found.text == (f"{expected:%Y-%m-%d}" if whole else expected.isoformat(timespec="seconds"))


@pytest.mark.parametrize(
    "text", ["2024-02-30", "2024-13-01", "31/01/24", "1/2", "sc", "2024-01", "", "45322"]
)
def test_what_is_no_date(text):
    assert parse_date(text, day_first=True) is None


def test_a_zone_counts():
    utc = parse_date("2024-01-31T23:30:00Z")
    assert parse_date("2024-02-01T01:30:00+02:00") == utc
    assert utc is not None and utc.text == "2024-01-31T23:30:00"


def test_day_or_month_first_is_told_by_any_row_that_can_be_but_one():
    cells = [(2, "03/04/2024"), (3, "31/01/2024")]
    assert [when.text for when in read_dates(cells, "t.csv").values()] == ["2024-04-03", "2024-01-31"]
    cells = [(2, "03/04/2024"), (3, "01/31/2024")]
    assert [when.text for when in read_dates(cells, "t.csv").values()] == ["2024-03-04", "2024-01-31"]
    assert read_dates([(2, "04/04/2024"), (3, "4/04/2024")], "t.csv")[3].text == "2024-04-04"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            [(2, "05/05/2024"), (3, "03/04/2024")],
            "row 3: '03/04/2024' may be day or month first; say which in",
        ),
        ([(2, "31/01/2024"), (9, "01/31/2024")], "row 2 has the day first, row 9 the month"),
        ([(2, "2024-01-31"), (7, "soon")], "row 7: 'soon' is no date"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(cells, message):
    with pytest.raises(UserError, match=r"--date-format") as caught:
        read_dates(cells, "t.csv, column date")
    assert message in str(caught.value)


@pytest.mark.parametrize("form", ["MM/DD/YYYY", "%m/%d/%Y"])
def test_the_format_that_is_named_decides(form):
    assert read_dates([(2, "03/04/2024")], "t", form)[2].text == "2024-03-04"
    with pytest.raises(UserError, match="row 2: '31/01/2024' is not written as"):
        read_dates([(2, "31/01/2024")], "t", form)


def test_a_format_with_a_part_twice_is_refused():
    with pytest.raises(UserError, match="--date-format DD/DD/YYYY names a part twice"):
        read_dates([(2, "03/04/2024")], "t", "DD/DD/YYYY")


def test_midnight_everywhere_is_no_time_of_the_day():
    assert not read_dates([(2, "2024-01-31 00:00:00")], "t")[2].clock
    both = read_dates([(2, "2024-01-31 00:00:00"), (3, "2024-01-31 08:00:00")], "t")
    assert both[2].clock and both[3].minus(both[2]) == pytest.approx(1 / 3)


def test_distances_count_whole_days_where_a_clock_is_lacking():
    late, next_day = parse_date("2024-01-31T23:00"), parse_date("2024-02-01")
    assert late is not None and next_day is not None
    assert (next_day.minus(late), late.minus(next_day)) == (1, -1)
    assert Moment(days=5, dated=False).minus(next_day) is None
