"""Rules by which two ways of writing an id mean the same patient."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from itertools import groupby

from learner_ray.cohort.faults import Faults

_LEADING_WORDS = ("sub", "subject", "patient")


def normal_form(patient: str) -> str:
    """An id without what is only a way of writing: case, separators, leading zeros.

    Unicode is folded (NFKC, case), the id is cut into runs of letters and runs of digits, a leading word
    ``sub``, ``subject`` or ``patient`` is dropped, digits count by their value, and a final ``.0``, which
    spreadsheets append, is dropped. So P-01 is P01, and sub-001, 1 and 1.0 are one; but 1-12, 11-2 and 112
    are three. It depends on the id alone, so that no other patient can change who is who.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", patient).casefold()).strip()
    folded = re.sub(r"(?<=[0-9])\.0$", "", folded)
    runs = ["".join(run) for kind, run in groupby(folded, _kind) if kind]
    if len(runs) > 1 and runs[0] in _LEADING_WORDS:
        del runs[0]
    return " ".join(str(int(run)) if run.isdecimal() else run for run in runs) or folded


def _kind(character: str) -> str:
    """L for letters, with the accents that follow them; N for digits; nothing for all that separates."""
    category = unicodedata.category(character)
    return "N" if category == "Nd" else "L" if category[0] in "LM" else ""


def check_spellings(patients: Iterable[tuple[int, str]], faults: Faults) -> None:
    """Notes a fault for every id that means the patient of an earlier row and is written differently.

    One patient under two spellings would sit on both sides of a split, and two patients are never merged
    either: only the author of the ids can decide.

    Args:
        patients: row and id, as written.
    """
    spellings: dict[str, dict[str, int]] = defaultdict(dict)
    for row, spelling in patients:
        if spelling.strip():
            spellings[normal_form(spelling)].setdefault(spelling, row)
    for rows in spellings.values():
        (first, before), *others = rows.items()
        for spelling, row in others:
            faults.add(
                row,
                f"patient {spelling!r} and {first!r} in row {before} look like one; spell one patient one "
                "way, and make the ids of two differ in more than case, separators and leading zeros",
            )
