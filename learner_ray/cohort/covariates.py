"""What is known of a patient besides the scans: age, sex, education and SpO2, where a listing has them.

All are optional, and no listing is refused for their sake: a cell that cannot be read counts as missing, and
a note of the cohort says which. No encoder sees them, so they are no part of the cohort's hash; a run whose
classifier does see some (``SEEN``) has those in its own identity.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from learner_ray.cohort.missing import is_missing

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "x": "X", "other": "X", "o": "X"}
_OLDEST, _LONGEST_EDUCATION, _LEAST_SPO2 = 120, 40, 30


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """What is known of a patient at one visit."""

    age: float = math.nan
    """Years at the visit; NaN where unknown."""
    sex: str = ""
    """``F``, ``M`` or ``X`` for any other; empty where unknown."""
    education_years: float = math.nan
    """Years of education; NaN where unknown."""
    spo2: float = math.nan
    """Oxygen saturation at the visit in per cent; NaN where unknown."""

    @property
    def cells(self) -> dict[str, str]:
        """What is known, as the cells of a manifest by column."""
        numbers = {"age": self.age, "education_years": self.education_years}
        known = {name: f"{years:g}" for name, years in numbers.items() if not math.isnan(years)}
        return {**known, "sex": self.sex} if self.sex else known


SEEN = ("age", "sex", "education_years")
"""What the control ``covariates`` sees of them."""
NAMES = (*SEEN, "spo2")
"""The columns of a manifest, of a cohort's pairs and of the ledger that hold them."""

_OWN_NAMES = {name: name for name in NAMES}


def _number(least: float, most: float) -> Callable[[str], float | None]:
    def read(text: str) -> float | None:
        try:
            number = float(text)
        except ValueError:
            return None
        return number if least <= number <= most else None

    return read


_READERS: Mapping[str, tuple[Callable[[str], Any], str]] = {
    "age": (_number(0, _OLDEST), f"a number of years from 0 to {_OLDEST}"),
    "sex": (lambda text: _SEXES.get(text.casefold()), "F, M or X"),
    "education_years": (_number(0, _LONGEST_EDUCATION), f"a number of years from 0 to {_LONGEST_EDUCATION}"),
    # A share such as 0.97 is refused: taken for per cent it would put everyone below any cut.
    "spo2": (_number(_LEAST_SPO2, 100), f"a number of per cent from {_LEAST_SPO2} to 100"),
}


def read_covariates(
    rows: Iterable[tuple[int, Mapping[str, str]]],
    columns: Mapping[str, str] = _OWN_NAMES,
) -> tuple[dict[int, Covariates], list[str]]:
    """The covariates of a table's rows, and notes about cells that are taken for missing.

    Codes of a missing score are none of theirs: 99 may be such a code, and is an age.

    Args:
        rows: number and cells of each row.
        columns: what the table calls each of ``NAMES``.
    """
    found: dict[int, Covariates] = {}
    unread: dict[str, list[int]] = {}
    for number, cells in rows:
        values: dict[str, Any] = {}
        for name, column in columns.items():
            text = cells.get(column, "").strip()
            if is_missing(text):
                continue
            value = _READERS[name][0](text)
            if value is None:
                unread.setdefault(name, []).append(number)
            else:
                values[name] = value
        found[number] = Covariates(**values)
    notes = [
        f"{columns[name]}: {len(numbers)} cells are not {_READERS[name][1]} and count as missing, the first "
        f"in row {numbers[0]}"
        for name, numbers in unread.items()
    ]
    return found, notes
