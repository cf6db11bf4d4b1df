"""A partition that the user brings: a table of patient, repeat and fold, checked against the cohort."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.faults import Faults
from learner_ray.cohort.patients import normal_form
from learner_ray.cohort.score import CLASSES
from learner_ray.cohort.splits import PARTS, Counts, Fold, counts_by_patient, fold_around
from learner_ray.cohort.table import Line, check_unique_columns, read_lines
from learner_ray.core.errors import UserError

COLUMNS = ("patient", "repeat", "fold")

Tested = dict[tuple[int, int], dict[str, int]]
"""By repeat and fold, the patients tested there, each with its row in the table."""


def read_splits(path: Path, cohort: Cohort, *, seed: int) -> list[Fold]:
    """The folds of a table with the columns patient, repeat and fold: who is tested in which fold.

    Every patient with a progression pair stands in it once per repeat; one without may be left out and then
    is trained on in every fold. The training patients of a fold are dealt to their parts as in
    :func:`~learner_ray.cohort.splits.make_splits`.

    Args:
        path: a ``.csv`` or ``.tsv`` file.
        cohort: the patients.
        seed: decides how training patients are dealt to parts.

    Raises:
        UserError: the table cannot be read, or is no partition of the cohort's patients; every faulty row is
            named.
    """
    faults = Faults(str(path))
    columns, lines = read_lines(path, faults)
    check_unique_columns(path, columns, COLUMNS)
    if missing := [name for name in COLUMNS if name not in columns]:
        raise UserError(
            f"{path}, row 1: there is no column {', '.join(missing)}; --splits needs the columns "
            f"{', '.join(COLUMNS)}: one row per patient and repeat, with the fold that tests the patient"
        )
    counts = counts_by_patient(cohort)
    tested = _tested(lines, counts, faults)
    faults.raise_any()
    _check_numbers(tested, faults)
    _check_complete(tested, counts, faults)
    faults.raise_any()
    for repeat, fold in sorted(tested):
        where = f"repeat {repeat}, fold {fold}"
        for sentence in absent_classes(tested[repeat, fold], counts):
            faults.add(0, f"{where}: {sentence}; move patients between folds, or use fewer folds")
    faults.raise_any()
    return [
        fold_around(list(tested[repeat, fold]), counts, seed=seed, repeat=repeat, fold=fold)
        for repeat, fold in sorted(tested)
    ]


def _tested(lines: Sequence[Line], counts: Mapping[str, Counts], faults: Faults) -> Tested:
    """Who is tested where; notes each row that cannot be."""
    spelling = {normal_form(patient): patient for patient in counts}
    tested: Tested = defaultdict(dict)
    seen: dict[tuple[str, int], tuple[int, int]] = {}
    for row, cells in lines:
        numbers = [_whole(cells[name]) for name in ("repeat", "fold")]
        for name, number in zip(("repeat", "fold"), numbers, strict=True):
            if number is None:
                faults.add(row, f"{name} is {cells[name].strip()!r}; write a whole number from 0")
        patient = cells["patient"].strip()
        if patient not in counts:
            faults.add(row, _unknown(patient, spelling))
            continue
        repeat, fold = numbers
        if repeat is None or fold is None:
            continue
        if (patient, repeat) in seen:
            before, other = seen[patient, repeat]
            where = "the same fold" if other == fold else f"fold {other}"
            faults.add(
                row,
                f"patient {patient!r} stands in {where} of repeat {repeat} already, in row {before}; keep "
                "one row per patient and repeat",
            )
            continue
        seen[patient, repeat] = row, fold
        tested[repeat, fold][patient] = row
    return dict(tested)


def _whole(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 6 else None


def _unknown(patient: str, spelling: Mapping[str, str]) -> str:
    if not patient:
        return "no patient is named; fill in the id, or remove the row"
    known = spelling.get(normal_form(patient))
    if known is not None:
        return f"patient {patient!r} is written {known!r} in the cohort; write {known!r} here"
    return f"patient {patient!r} is not in the cohort; remove the row, or name a patient of the cohort"


def _check_numbers(tested: Tested, faults: Faults) -> None:
    """Notes repeats and folds that are not numbered from 0 without a gap, and a repeat that is another's."""
    repeats = sorted({repeat for repeat, _ in tested})
    if repeats != list(range(len(repeats))):
        faults.add(0, f"repeats are numbered {_listed(repeats)}; number them from 0 without a gap")
    numbers = {repeat: sorted(fold for r, fold in tested if r == repeat) for repeat in repeats}
    for repeat, folds in numbers.items():
        if folds != list(range(len(folds))):
            faults.add(
                0, f"folds of repeat {repeat} are numbered {_listed(folds)}; number them from 0 without a gap"
            )
        elif len(folds) != len(numbers[repeats[0]]):
            faults.add(
                0,
                f"repeat {repeat} has {len(folds)} folds, repeat {repeats[0]} has "
                f"{len(numbers[repeats[0]])}; give all repeats the same number of folds",
            )
        elif len(folds) < 2:
            faults.add(0, f"repeat {repeat} has one fold, which leaves nobody to train on; use two or more")
    first: dict[frozenset[frozenset[str]], int] = {}
    for repeat, folds in numbers.items():
        division = frozenset(frozenset(tested[repeat, fold]) for fold in folds)
        before = first.setdefault(division, repeat)
        if before != repeat:
            faults.add(0, f"repeat {repeat} divides the patients as repeat {before} does; leave it out")
    if not tested:
        faults.add(0, "there is no row; name the fold of every patient with two visits or more")


def _check_complete(tested: Tested, counts: Mapping[str, Counts], faults: Faults) -> None:
    """Notes the patients with progression pairs that a repeat does not test."""
    holders = {patient for patient, of in counts.items() if any(of)}
    for repeat in sorted({repeat for repeat, _ in tested}):
        there = {patient for (r, _), patients in tested.items() if r == repeat for patient in patients}
        faults_of = [
            f"repeat {repeat} lacks patient {patient!r}, who has progression pairs; add a row with the "
            "fold that tests the patient"
            for patient in sorted(holders - there)
        ]
        for fault in faults_of:
            faults.add(0, fault)


def absent_classes(test: Mapping[str, object] | Sequence[str], counts: Mapping[str, Counts]) -> list[str]:
    """Why a fold that tests some patients will not do: a class that is absent from its test or its training
    patients, or too few of these; empty where it will.

    Args:
        test: the patients to test.
        counts: pairs of each class by patient, of all patients of the cohort.
    """
    tested, found = set(test), list[str]()
    training = [patient for patient, of in counts.items() if patient not in tested and any(of)]
    if len(training) < PARTS:
        found.append(
            f"{len(training)} patients with progression pairs are left to train on, fewer than {PARTS}"
        )
    for c, name in enumerate(CLASSES):
        total = sum(of[c] for of in counts.values())
        here = sum(counts[patient][c] for patient in tested)
        if here == 0:
            found.append(
                f"class {name!r} is absent from the test patients (all {total} pairs are trained on)"
            )
        elif here == total:
            found.append(
                f"class {name!r} is absent from the training patients (all {total} pairs are tested)"
            )
    return found


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
