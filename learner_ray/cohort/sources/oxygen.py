"""The S/F ratio from records: SpO2 in per cent over the inspired fraction of oxygen (FiO2).

FiO2 is taken as recorded, or estimated from the oxygen flow and what the oxygen is given by:

============================  =====================================================================
device                        FiO2
============================  =====================================================================
room air                      0.21
nasal cannula, 0-6 L/min      0.20 + 0.04 per L/min
simple mask, 5-8 L/min        5: 0.40, 6: 0.50, 7-8: 0.60 (a flow between two counts as the lower one)
reservoir mask, 6-15 L/min    0.10 per L/min up to 9, 0.95 from 10 on
============================  =====================================================================

The table is that of the MEDUSA trial's case report form (University of Leipzig, "Konversionstabelle
Oxygenierungsindex"; R package icmsofa) for cannula and mask; for the reservoir mask, charts agree up to 9
L/min and give 0.80 to 0.99 above. The true fraction varies with breathing by 0.1 and more, so such a ratio
is an estimate. With a high-flow cannula, a Venturi mask or a ventilator the fraction is set and
does not follow from the flow: such rows are left out.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping

from learner_ray.cohort.any_table import Table
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.missing import is_missing
from learner_ray.cohort.sources.importer import ImportOptions, LeftOut
from learner_ray.core.errors import UserError

ROOM_AIR = 0.21
"""Fraction of oxygen in air."""
FLAT_ABOVE = 97.0
"""SpO2 in per cent above which the saturation curve is flat and S/F tells little (Rice et al. 2007, doi
10.1378/chest.07-0617)."""
_LOWEST_SPO2 = 30.0

_DEVICES: Mapping[str, str] = {
    "room air": r"room ?air|air|ra|none|no oxygen|raumluft|ohne|kein(e|en)? (o2|sauerstoff)",
    "nasal cannula": r"(nasal )?(cannula|prongs?|specs)|nc|nasenbrille|(o2|sauerstoff) ?brille|nasal",
    "reservoir mask": r"(mask with )?reservoir( mask)?|non ?rebreath(er|ing)( mask)?|nrb|nrbm|nrm"
    r"|(o2 |sauerstoff)?maske mit reservoir|reservoirmaske",
    "simple mask": r"(simple |face |simple face )?mask|sfm|(einfache )?(gesichts|sauerstoff|o2 )?maske",
}
_SET = r"hfn[co]|high ?flow.*|venturi.*|venti( mask)?|ventilat(or|ed)|.*ventilation|niv|cpap|bipap|ett"


def sf_of_rows(
    table: Table, options: ImportOptions, notes: list[str], left_out: list[LeftOut]
) -> tuple[dict[int, float], dict[int, dict[str, str]]]:
    """The S/F ratio of each row, NaN where a value is missing or not known, and the row's saturation.

    Args:
        table: the records.
        options: names the columns.
        notes: how FiO2 was read is added.
        left_out: rows whose flow and device are not in the table of estimates are added, with the reason.

    Raises:
        UserError: a column is not named or not there, or cells are out of range; all such rows are listed.
    """
    if lacks := lacking_oxygen(table, options):
        raise UserError(f"{table.path}, row 1: {'; '.join(lacks)}; found: {', '.join(table.columns[:12])}")
    saturation = _column(table, options.spo2)
    faults = Faults(str(table.path))
    spo2 = _read(table, saturation, options, faults, _saturation, "from 30 to 100 %, or 0.3 to 1")
    if options.fio2:
        column = _column(table, options.fio2)
        fio2 = _read(table, column, options, faults, _fraction, "0.21 to 1, or 21 to 100 %")
        notes.append(_units(table, column, options))
    else:
        fio2 = _estimated(table, options, faults, left_out)
        notes.append("FiO2 is estimated from flow and device (docs/importing.md has the table)")
    faults.raise_any()
    values = {row: 100 * spo2[row] / fio2[row] for row in spo2 if row in fio2}
    more = {row: {"spo2": f"{100 * spo2[row]:g}"} for row in values if not math.isnan(spo2[row])}
    return values, more


def lacking_oxygen(table: Table, options: ImportOptions) -> list[str]:
    """Why the columns of saturation and oxygen are not known, a sentence each; none where they are."""
    oxygen = [("--fio2", options.fio2)]
    if not options.fio2:
        oxygen = [("--flow", options.flow), ("--device", options.device)]
    named = [("--spo2", options.spo2), *oxygen]
    absent = [f"{option} {name}: no such column" for option, name in named if name and not table.named(name)]
    if all(name for _, name in named):
        return absent
    needs = "--score sf needs --spo2 COLUMN, and either --fio2 COLUMN or --flow COLUMN with --device COLUMN"
    return [needs, *absent]


def _column(table: Table, name: str) -> str:
    """A column that is there, as the table writes it."""
    column = table.named(name)
    assert column is not None  # by ``lacking_oxygen``
    return column


def _read(
    table: Table,
    column: str,
    options: ImportOptions,
    faults: Faults,
    share: Callable[[float], float | None],
    allowed: str,
) -> dict[int, float]:
    """A column as fractions by row, NaN where missing; a fault for every cell that is out of range."""
    found = {}
    for row, cells in table.rows:
        text = cells[column].removesuffix("%")
        if is_missing(text, options.missing):
            found[row] = math.nan
            continue
        number = table.number(text)
        value = None if number is None else share(number)
        if value is None:
            faults.add(
                row,
                f"{column} {cells[column]!r} is not {allowed}; correct it, or name the code of a missing "
                "value in --missing",
            )
        else:
            found[row] = value
    return found


def _saturation(value: float) -> float | None:
    """A saturation as a fraction, given in per cent or as one; None where it is neither."""
    share = value if value <= 1 else value / 100
    return share if _LOWEST_SPO2 / 100 <= share <= 1 else None


def _fraction(value: float) -> float | None:
    """FiO2 as a fraction, given in per cent or as one; None where it is neither."""
    share = value if value <= 1 else value / 100
    return share if ROOM_AIR <= share <= 1 else None


def _units(table: Table, column: str, options: ImportOptions) -> str:
    """The note that says which cells of FiO2 are in per cent."""
    numbers = [table.number(cells[column].removesuffix("%")) for _, cells in table.rows]
    units = Counter(
        "in per cent" if n > 1 else "as fractions" for n in numbers if n is not None and n >= 0.21
    )
    return f"FiO2: {column} holds " + (
        " and ".join(f"{n} cells {unit}" for unit, n in units.items()) or "nothing"
    )


def _estimated(
    table: Table, options: ImportOptions, faults: Faults, left_out: list[LeftOut]
) -> dict[int, float]:
    """FiO2 by row from flow and device; where it does not follow from them it is NaN, and the row is left
    out."""
    flows, devices = _column(table, options.flow), _column(table, options.device)
    found = {}
    for row, cells in table.rows:
        text, device = cells[flows], cells[devices]
        flow = 0.0 if is_missing(text, options.missing) else table.number(text)
        if flow is None or not 0 <= flow <= 100:
            faults.add(
                row, f"{flows} {text!r} is no flow in L/min; correct it, or name its code in --missing"
            )
            continue
        if is_missing(device, options.missing):
            found[row] = math.nan
            continue
        value = estimated_fio2(device, None if is_missing(text, options.missing) else flow)
        if isinstance(value, str):
            left_out.append(LeftOut(path=f"{table.path}, row {row}", reason=value))
        found[row] = math.nan if isinstance(value, str) else value
    return found


def estimated_fio2(device: str, flow: float | None) -> float | str:
    """FiO2 as a fraction, by this module's table; or why it is not known.

    Args:
        device: what the oxygen is given by, as recorded.
        flow: litres per minute; None where none is recorded.
    """
    written = " ".join(re.sub(r"[^\w]", " ", device.casefold()).split())
    name = next((name for name, names in _DEVICES.items() if re.fullmatch(names, written)), "")
    if name == "room air":
        return ROOM_AIR if not flow else f"{device!r} with a flow of {flow:g} L/min contradict each other"
    if re.fullmatch(_SET, written):
        return (
            f"device {device!r}: its FiO2 is set and does not follow from the flow; record it and give --fio2"
        )
    if not name:
        return f"device {device!r} is not known; known: {', '.join(_DEVICES)}"
    if flow is None:
        return f"device {device!r} without a flow"
    value = _by_flow(name, flow)
    return f"{flow:g} L/min is outside the table for a {name}" if value is None else value


def _by_flow(name: str, flow: float) -> float | None:
    if name == "nasal cannula":
        return max(ROOM_AIR, 0.20 + 0.04 * flow) if flow <= 6 else None
    if name == "simple mask":
        return {5: 0.40, 6: 0.50, 7: 0.60, 8: 0.60}[int(flow)] if 5 <= flow <= 8 else None
    if not 6 <= flow <= 15:
        return None
    return 0.10 * min(flow, 9.0) if flow < 10 else 0.95
