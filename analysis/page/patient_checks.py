"""Checks of the patients and their scans, and of what else could tell the classes apart."""

from __future__ import annotations

import numpy as np

from analysis.page.check import Check, Status
from analysis.results.identifiers import same_patient_key
from analysis.results.run_files import DamagedRunFileError, patients_by_role
from analysis.results.study import StudyResults
from analysis.statistics.metrics import CLASSES
from analysis.statistics.sensitivity import association

FEWEST_PATIENTS = 20
"""Patients per class below which a class's recall says little."""


def one_test_fold(study: StudyResults) -> Check:
    """Check that no patient is tested in two folds of one repeat, and that all arms test the same pairs."""
    folds = study.ledger.groupby(["repeat", "patient"])["fold"].nunique()
    pairs = study.ledger.groupby(["repeat", "fold", "arm", "seed"])["pair"].nunique()
    uneven = int((pairs.groupby(["repeat", "fold"]).nunique() > 1).sum())
    truths = int((study.ledger.groupby("pair")["y_true"].nunique() > 1).sum())
    twice = int((folds > 1).sum())
    wrong = [f"{twice} patients are tested in several folds of one repeat"] if twice else []
    wrong += [f"in {uneven} folds the arms test different numbers of pairs"] if uneven else []
    wrong += [f"{truths} pairs have different true classes in different runs"] if truths else []
    return Check(
        name="Test folds",
        status="red" if wrong else "green",
        looked_at=f"{study.ledger['patient'].nunique()} patients and their pairs in all arms and runs",
        found="; ".join(wrong) or "every patient is tested once per repeat and seed, on the same pairs",
    )


def patient_disjointness(study: StudyResults) -> Check:
    """Check that no final run was tested on a patient it was fitted on."""
    read, leaks, damaged = 0, [], 0
    for run in map(str, study.ledger["run_hash"].unique()):
        try:
            patients = patients_by_role(study, run)
        except DamagedRunFileError:
            damaged += 1
            continue
        if patients is None:
            continue
        read += 1
        roles = {role: {same_patient_key(patient) for patient in who} for role, who in patients.items()}
        fitted = set().union(*(who for role, who in roles.items() if role != "test"))
        if fitted & roles.get("test", set()):
            leaks.append(run)
    looked = f"patients of {read} final runs by role (config.json), after normalising identifiers"
    if not read:
        text = f"{damaged} config.json cannot be read" if damaged else "no runs/ folder"
        return Check(name="Patient disjointness", status="not checked", looked_at=looked, found=text)
    found = (
        f"test patients were also trained or tuned on in {', '.join(leaks[:5])}"
        if leaks
        else "no test patient was trained or tuned on"
    )
    if damaged:
        found += f"; {damaged} config.json cannot be read"
    status: Status = "red" if leaks else "amber" if damaged else "green"
    return Check(name="Patient disjointness", status=status, looked_at=looked, found=found)


def duplicate_scans(study: StudyResults) -> Check:
    """Check that the cohort holds no scan twice, by what the sweep found before it started."""
    allowed = study.info.get("allow_duplicates")
    looked = "contents of all files, which the sweep compares before it starts"
    status: Status = "not checked"
    found = "study.json does not say; run python -m learner_ray.cohort check DATA"
    if allowed is True:
        status, found = "amber", "files of equal content were allowed on request (--allow-duplicates)"
    elif allowed is False:
        status, found = "green", "no two files have equal content"
    return Check(name="Duplicate scans", status=status, looked_at=looked, found=found)


def class_sizes(study: StudyResults) -> Check:
    """Check that every class has enough patients."""
    patients = study.compared.groupby("y_true")["patient"].nunique()
    counts = [int(patients.get(c, 0)) for c in range(3)]
    status: Status = "red" if 0 in counts else "amber" if min(counts) < FEWEST_PATIENTS else "green"
    found = ", ".join(f"{name} {n}" for name, n in zip(CLASSES, counts, strict=True))
    return Check(name="Patients per class", status=status, looked_at=f"at least {FEWEST_PATIENTS} per class",
                 found=found)  # fmt: skip


def class_associations(study: StudyResults) -> Check:
    """Check that the class cannot be predicted from the site or the device."""
    found: list[str] = []
    status: Status = "green"
    for column in ("site", "device"):
        v, p = association(study.compared, column)
        if np.isfinite(v):
            found.append(f"{column}: Cramér's V {v:.2f}, permutation p {p:.3f}")
            status = "amber" if p < 0.05 else status
    looked = "class against site and device, permuted by patient"
    if not found:
        text = "site and device are not recorded, or the same for all"
        return Check(name="Class and site or device", status="not checked", looked_at=looked, found=text)
    return Check(name="Class and site or device", status=status, looked_at=looked, found="; ".join(found))
