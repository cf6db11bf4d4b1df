"""What a report shows for patients and visits: numbers, never what the results folder calls them.

A patient's number is the place of its pseudonym among those of the ledger, and a visit's the place in time.
Numbers tell readers which rows belong together, and can be traced only with the results folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.results.study import StudyResults

MOST_DIGITS = 3
"""A visit named by a number of so few digits is shown by that name; a longer one could be a date."""


def patient_numbers(study: StudyResults) -> Mapping[str, int]:
    """The number of every patient of a study's ledger, from 1 in the order of pseudonyms."""
    return {patient: n for n, patient in enumerate(sorted({*study.ledger["patient"].map(str)}), start=1)}


def visit_numbers(study: StudyResults) -> Mapping[str, Mapping[str, str]]:
    """What each visit of the ledger is shown as, by pseudonym and name.

    Names that are ranks stay. Earlier versions named visits as the manifest does: those are counted here, in
    the order that a patient's pairs tell.
    """
    visits: dict[str, dict[str, None]] = {}
    pairs = study.ledger[["patient", "pair"]].drop_duplicates().astype(str)
    for patient, pair in sorted(pairs.itertuples(index=False, name=None)):
        visits.setdefault(patient, {})
        visits[patient] |= dict.fromkeys(_visits(patient, pair))
    known = [visit for of in visits.values() for visit in of]
    if all(re.fullmatch(rf"\d{{1,{MOST_DIGITS}}}", visit) for visit in known):
        return {patient: {visit: visit for visit in of} for patient, of in visits.items()}
    return {patient: {v: str(n) for n, v in enumerate(of, start=1)} for patient, of in visits.items()}


def shown_pairs(study: StudyResults, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """The names of progression pairs for readers: ``12: 1 > 2`` of patient 12.

    Args:
        study: of whose ledger they are.
        pairs: pseudonym and name of each.
    """
    numbers, visits = patient_numbers(study), visit_numbers(study)
    found = []
    for patient, pair in pairs:
        named = [visits.get(patient, {}).get(visit, "?") for visit in _visits(patient, pair)]
        found.append(f"{numbers.get(patient, '?')}: {' > '.join(named)}")
    return found


def with_numbers(data: pd.DataFrame, study: StudyResults) -> pd.DataFrame:
    """Rows of a study whose columns patient and pair are numbers, for what a report writes."""
    pairs = zip(data["patient"].map(str), data["pair"].map(str), strict=True)
    patients = data["patient"].map(str).map(patient_numbers(study))
    return data.assign(pair=shown_pairs(study, pairs), patient=patients)


def _visits(patient: str, pair: str) -> list[str]:
    """The names of the two visits of a pair, which is called ``PSEUDONYM:EARLIER>LATER``."""
    return pair.removeprefix(f"{patient}:").split(">")
