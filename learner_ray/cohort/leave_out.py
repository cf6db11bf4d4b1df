"""Folds that leave one place out: the patients of a site, or of a device, are tested by an encoder that never
saw a scan from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.faults import FaultsError
from learner_ray.cohort.own_splits import absent_classes
from learner_ray.cohort.splits import Fold, counts_by_patient, fold_around
from learner_ray.core.errors import UserError

Place = Literal["site", "device"]


def leave_one_out(cohort: Cohort, place: Place, *, seed: int) -> tuple[list[Fold], tuple[str, ...]]:
    """One fold for each site or device, in order of their names, and these names.

    A patient with scans from several places cannot be on one side of every fold, and is refused rather than
    left out or merged with others: who moved between sites is not a random few. The training patients of a
    fold are dealt to their parts by patient, not by place: a part is also what a classifier is fitted on,
    which then has seen several places.

    Args:
        cohort: its scans name their site or device.
        place: which of the two is left out.
        seed: decides how training patients are dealt to parts.

    Raises:
        UserError: a patient has no place or several, there is one place alone, or a class is absent from the
            test or training patients of a fold.
    """
    of_patient = _place_of(cohort, place)
    names = tuple(sorted(set(of_patient.values())))
    if len(names) < 2:
        raise UserError(
            f"{cohort.name}: all patients are of {place} {names[0]!r}, so none is left to train on; leave "
            f"out --leave-out {place}"
        )
    counts = counts_by_patient(cohort)
    tests = {name: [p for p in cohort.patients if of_patient[p] == name] for name in names}
    faults = [
        (name, f"{place} {name!r}: {why}") for name in names for why in absent_classes(tests[name], counts)
    ]
    if faults:
        raise FaultsError.of(
            f"--leave-out {place}: {cohort.name} cannot be tested {place} by {place}:",
            faults,
            f"give small neighbouring {place}s one name in the manifest, leave their rows out, or divide the "
            "patients yourself with --splits",
        )
    folds = [
        fold_around(tests[name], counts, seed=seed, repeat=0, fold=fold) for fold, name in enumerate(names)
    ]
    return folds, names


def _place_of(cohort: Cohort, place: Place) -> Mapping[str, str]:
    """The one place of every patient."""
    if not any(cohort.scans[place]):
        raise UserError(
            f"--leave-out {place}: {cohort.name} names no {place} of any scan; give a manifest with a column "
            f"{place}, or divide the patients yourself with --splits"
        )
    places: dict[str, dict[str, int]] = {patient: {} for patient in cohort.patients}
    for scan in cohort.scans.sort_values("row").itertuples(index=False):
        places[str(scan.patient)].setdefault(str(getattr(scan, place)), int(scan.row))  # type: ignore[arg-type]
    faults = []
    for patient, rows in places.items():
        if "" in rows:
            faults.append(("none", f"row {rows['']}: patient {patient!r} has a scan without a {place}"))
        elif len(rows) > 1:
            listed = ", ".join(f"{name!r} (row {row})" for name, row in rows.items())
            faults.append(("several", f"patient {patient!r} has several {place}s: {listed}"))
    if faults:
        raise FaultsError.of(
            f"--leave-out {place}: {cohort.scans['source'].iloc[0]}: every patient must have one {place}:",
            faults,
            f"fill the {place} in, give {place}s that share patients one name, leave these rows out, or "
            "divide the patients yourself with --splits",
        )
    return {patient: next(iter(rows)) for patient, rows in places.items()}
