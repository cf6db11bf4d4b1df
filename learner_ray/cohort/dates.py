"""Dates in the ways that tables and folders write them. What can be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from learner_ray.core.errors import UserError

_SECONDS_PER_DAY = 86_400
_TIME = r"(?:[T ,_]+(\d\d?)[:_.](\d\d)(?:[:_.](\d\d)(?:\.\d+)?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?"
_YEAR_FIRST = re.compile(rf"(\d{{4}})([-./])(\d\d?)\2(\d\d?){_TIME}", re.ASCII)
_COMPACT = re.compile(
    r"(\d{4})(\d\d)(\d\d)(?:[T ]?(\d\d)(\d\d)(\d\d)?(?:\.\d+)?)?\s*(Z|[+-]\d{4})?", re.ASCII
)
_YEAR_LAST = re.compile(rf"(\d\d?)([-./])(\d\d?)\2(\d{{4}}){_TIME}", re.ASCII)
_NAMED = re.compile(rf"(\d\d?)[- ]([a-z]{{3}})[a-z]*[- ](\d{{4}}){_TIME}", re.ASCII | re.I)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "hh": "%H", "mm": "%M", "ss": "%S"}


@dataclass(frozen=True, kw_only=True, order=True)
class Moment:
    """A time in days: since the year 1 for a date, since anything for a count of days."""

    days: float
    """Days and fractions of one."""
    clock: bool = False
    """Whether the time of the day is known."""
    dated: bool = True
    """Whether it is a date and not a count of days."""

    def minus(self, other: Moment) -> float | None:
        """Days from another moment to this one; None where one is a date and the other a count. Where either
        has no time of the day, whole days are counted."""
        if self.dated != other.dated:
            return None
        if self.dated and not (self.clock and other.clock):
            return float(self.days // 1 - other.days // 1)
        return self.days - other.days

    @property
    def text(self) -> str:
        """The date in ISO 8601, with the time of the day where it is known; a count as a number."""
        if not self.dated:
            return f"{self.days:.10g}"
        when = datetime.min + timedelta(seconds=round(self.days * _SECONDS_PER_DAY))
        return when.isoformat(timespec="seconds") if self.clock else when.date().isoformat()


def read_dates(cells: Iterable[tuple[int, str]], what: str, form: str = "") -> dict[int, Moment]:
    """The dates in a column.

    Args:
        cells: row and text; none of them empty.
        what: file and column, for messages.
        form: how dates are written, as ``DD/MM/YYYY`` or ``%d/%m/%Y``; empty to recognise it.

    Returns:
        Moments by row. Times with a zone are in UTC.

    Raises:
        UserError: a cell is no date, or it is not clear which is day and which is month.
    """
    listed = list(cells)
    if form:
        return _whole_days({row: _formatted(row, text, what, form) for row, text in listed})
    day_first = _day_first(listed, what)
    found = {row: parse_date(text, day_first=day_first) for row, text in listed}
    for row, text in listed:
        if found[row] is None:
            raise UserError(
                f"{what}, row {row}: {text!r} is no date that can be read; write 2024-01-31, or say how "
                "dates are written in --date-format, as DD/MM/YYYY"
            )
    return _whole_days({row: when for row, when in found.items() if when is not None})


def _whole_days(found: dict[int, Moment]) -> dict[int, Moment]:
    """Moments without a time of the day where all are at midnight: a program wrote days so."""
    if any(when.days % 1 for when in found.values()):
        return found
    return {row: replace(when, clock=False) for row, when in found.items()}


def parse_date(text: str, *, day_first: bool | None = None) -> Moment | None:
    """The moment that a text states; None where it is no date, or where ``31/01/2024`` would need
    ``day_first`` to be known. Dots put the day first (31.01.2024)."""
    text = text.strip()
    if parts := _YEAR_FIRST.fullmatch(text):
        year, _, month, day, *rest = parts.groups()
    elif parts := _COMPACT.fullmatch(text):
        year, month, day, *rest = parts.groups()
    elif parts := _NAMED.fullmatch(text):
        day, name, year, *rest = parts.groups()
        month = str(_MONTHS.index(name.lower()) + 1) if name.lower() in _MONTHS else "0"
    elif parts := _YEAR_LAST.fullmatch(text):
        first, separator, second, year, *rest = parts.groups()
        if separator == ".":
            day_first = True
        elif day_first is None and int(first) != int(second):
            return None
        day, month = (first, second) if day_first else (second, first)
    else:
        return None
    hour, minute, second_, zone = rest
    try:
        when = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second_ or 0))
        return _moment(when, bool(hour), zone)
    except (ValueError, OverflowError):
        return None


def _moment(when: datetime, clock: bool, zone: str | None) -> Moment:
    if zone and zone not in ("Z", "UTC"):
        sign = -1 if zone[0] == "-" else 1
        when -= sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return Moment(days=(when - datetime.min).total_seconds() / _SECONDS_PER_DAY, clock=clock)


def _day_first(cells: list[tuple[int, str]], what: str) -> bool | None:
    """Whether days come before months in dates such as 31/01/2024; None where no cell is written so."""
    seen: dict[bool, int] = {}
    unclear: int | None = None
    for row, text in cells:
        parts = _YEAR_LAST.fullmatch(text.strip())
        if parts is None or parts[2] == ".":
            continue
        first, second = int(parts[1]), int(parts[3])
        if first > 12 >= second:
            seen.setdefault(True, row)
        elif second > 12 >= first:
            seen.setdefault(False, row)
        elif first != second:
            unclear = row if unclear is None else unclear
    remedy = "say which in --date-format, as DD/MM/YYYY or MM/DD/YYYY"
    if len(seen) == 2:
        raise UserError(
            f"{what}: row {seen[True]} has the day first, row {seen[False]} the month; correct one, or "
            f"{remedy}"
        )
    if unclear is not None and not seen:
        text = dict(cells)[unclear]
        raise UserError(f"{what}, row {unclear}: {text!r} may be day or month first; {remedy}")
    return next(iter(seen), None)


def _formatted(row: int, text: str, what: str, form: str) -> Moment:
    pattern = form
    if "%" not in form:
        pattern = re.sub("|".join(_PARTS), lambda part: _PARTS[part[0]], form)
    try:
        when = datetime.strptime(text.strip(), pattern)
    except ValueError as error:
        raise UserError(f"{what}, row {row}: {text!r} is not written as --date-format {form}") from error
    except re.error as error:
        raise UserError(f"--date-format {form} names a part twice; write it as DD/MM/YYYY") from error
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    clock = any(part in pattern for part in ("%H", "%I", "%T", "%X"))
    return Moment(days=(when - datetime.min).total_seconds() / _SECONDS_PER_DAY, clock=clock)
