"""When each session of a BIDS data set was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from learner_ray.cohort.dates import Moment
from learner_ray.cohort.faults import FaultsError
from learner_ray.cohort.labels import visit_key
from learner_ray.cohort.sources.bids_tables import SessionTables, Times, cell_of, day_or_time
from learner_ray.cohort.sources.importer import ImportOptions
from learner_ray.core.errors import UserError

DAYS_PER_YEAR = 365.25
"""Days that a year of age counts."""


def times_of(
    root: Path,
    sessions: Mapping[str, Sequence[str]],
    tables: Mapping[str, SessionTables],
    options: ImportOptions,
    notes: list[str],
) -> Times:
    """When each session was. Of each patient the first source counts that has all sessions: ``acq_time``,
    then ``examination_date`` of the table of sessions, ``acq_time`` of the tables of scans, age, the label.

    Args:
        root: the data set, for messages.
        sessions: the sessions that have images, by patient.
        tables: what is known of each patient.
        options: may name the one source to use in ``time_from``.
        notes: what was used is added.

    Raises:
        UserError: times contradict the order of labels, or an unknown source is named.
    """
    if options.time_from and options.time_from not in SOURCES:
        raise UserError(f"--time-from {options.time_from} is unknown; known: {', '.join(SOURCES)}")
    used: Counter[str] = Counter()
    found: dict[tuple[str, str], Moment] = {}
    faults = []
    for patient, of in sessions.items():
        for name in [options.time_from] if options.time_from else SOURCES:
            moments = {session: SOURCES[name](tables[patient], session) for session in dict.fromkeys(of)}
            times = {session: when for session, when in moments.items() if when is not None}
            if len(times) < len(moments):
                continue
            contradiction = _contradiction(times)
            if contradiction and name == "age":  # whole years often cannot tell two visits
                continue
            if contradiction:
                faults.append(("", f"{patient}: by {name}, {contradiction}"))
            used[name] += 1
            found |= {(patient, session): when for session, when in times.items()}
            break
    if faults:
        title = f"{root}: the times of visits contradict their labels"
        remedy = f"correct the tables, or choose in --time-from: {', '.join(SOURCES)}"
        raise FaultsError.of(title, [("  ", line) for _, line in faults], remedy)
    if used:
        by = ", ".join(f"{name} ({n} patients)" for name, n in used.items())
        notes.append(f"times of visits: {by}")
    return found


def _contradiction(times: Mapping[str, Moment]) -> str:
    """Why times cannot be right, given the labels of the sessions; empty where they may be."""
    ordered = sorted(times.items(), key=lambda item: item[1].days)
    for (earlier, first), (later, second) in pairwise(ordered):
        if first.days == second.days:
            return f"{earlier} and {later} are both at {first.text}"
        keys = visit_key(earlier), visit_key(later)
        if keys[0][0] == keys[1][0] != "text" and keys[0][1] > keys[1][1]:  # type: ignore[operator]
            return f"{earlier} ({first.text}) comes before {later} ({second.text})"
    return ""


def _dated(name: str) -> Callable[[SessionTables, str], Moment | None]:
    return lambda tables, session: day_or_time(cell_of(tables, session, name))


def _scans(tables: SessionTables, session: str) -> Moment | None:
    return day_or_time(tables.acquired.get(session, ""))


def _age(tables: SessionTables, session: str) -> Moment | None:
    years = tables.table.number(cell_of(tables, session, "age")) if tables.table else None
    return None if years is None else Moment(days=years * DAYS_PER_YEAR, dated=False)


def _label(tables: SessionTables, session: str) -> Moment | None:
    """The time that a label states with its unit; an index states none."""
    kind, value = visit_key(session)
    return Moment(days=float(value), dated=False) if kind == "time" else None


SOURCES: Mapping[str, Callable[[SessionTables, str], Moment | None]] = {
    "acq_time": _dated("acq_time"),
    "examination_date": _dated("examination_date"),
    "scans": _scans,
    "age": _age,
    "label": _label,
}
"""What may tell when a session was, in the order in which it is asked."""
