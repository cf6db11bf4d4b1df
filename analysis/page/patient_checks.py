"""Checks of the patients and their scans, and of what else could tell the classes apart."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.check import Check, Status
from analysis.results.identifiers import same_patient_key
from analysis.results.run_files import DamagedRunFileError, patients_by_role
from analysis.results.study import StudyResults
from analysis.statistics.sensitivity import association
from analysis.statistics.verdict import ALPHA

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
    """Check that no run was fitted on a patient that its fold tests: final runs, and the trials and audits
    that chose their setting.

    Trials of another fold are not asked: where one search chose for all folds, the protocol says so.
    """
    name = "Patient disjointness"
    patients = _PatientsOfRuns(study)
    tested: dict[tuple[int, int], set[str]] = {}
    leaks: list[str] = []
    for run, fold in _runs(study.ledger):
        fitted, test = patients.of(run)
        tested.setdefault(fold, set()).update(test)
        leaks += [f"final run {run}"] if fitted & test else []
    finals_read = patients.read
    searched = [*_runs(study.trials), *_runs(study.audits)]
    for run, fold in searched if finals_read else ():
        fitted, _ = patients.of(run)
        leaks += [f"trial {run}"] if fitted & tested.get(fold, set()) else []
    looked = (
        f"patients by role (config.json) of {finals_read} final runs and of {patients.read - finals_read} "
        "trials and audits, after normalising identifiers; a trial's patients against those its fold tests"
    )
    if not finals_read:
        text = f"{patients.damaged} config.json cannot be read" if patients.damaged else "no runs/ folder"
        return Check(name=name, status="not checked", looked_at=looked, found=text)
    found = "no test patient was trained or tuned on"
    if leaks:
        found = f"test patients were also trained or tuned on in {', '.join(leaks[:5])}"
        found += f" and {len(leaks) - 5} more" if leaks[5:] else ""
    unread = len(searched) - (patients.read - finals_read)
    found += f"; {patients.damaged} config.json cannot be read" if patients.damaged else ""
    found += f"; {unread} trials have no config.json" if unread and not patients.damaged else ""
    status: Status = "red" if leaks else "amber" if patients.damaged or unread else "green"
    return Check(name=name, status=status, looked_at=looked, found=found)


class _PatientsOfRuns:
    """Whom runs were fitted and tested on, with identifiers normalised; counts what could be read."""

    def __init__(self, study: StudyResults) -> None:
        self.read = self.damaged = 0
        self._study = study
        self._keys: dict[str, str] = {}

    def of(self, run: str) -> tuple[set[str], set[str]]:
        """Patients of any role but test, and those of test; none where the run's file cannot be read."""
        try:
            roles = patients_by_role(self._study, run)
        except DamagedRunFileError:
            self.damaged += 1
            return set(), set()
        if roles is None:
            return set(), set()
        self.read += 1
        test = {self._key(patient) for patient in roles.get("test", ())}
        return {self._key(p) for role, who in roles.items() if role != "test" for p in who}, test

    def _key(self, patient: str) -> str:
        if patient not in self._keys:
            self._keys[patient] = same_patient_key(patient)
        return self._keys[patient]


def _runs(table: pd.DataFrame) -> list[tuple[str, tuple[int, int]]]:
    """The runs of a table and the repeat and fold of each."""
    if table.empty:
        return []
    runs = table[["run_hash", "repeat", "fold"]].drop_duplicates()
    return [(str(run), (int(repeat), int(fold))) for run, repeat, fold in runs.itertuples(index=False) if run]


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
    counts = [int(patients.get(c, 0)) for c in range(len(study.classes))]
    status: Status = "red" if 0 in counts else "amber" if min(counts) < FEWEST_PATIENTS else "green"
    found = ", ".join(f"{name} {n}" for name, n in zip(study.classes, counts, strict=True))
    return Check(name="Patients per class", status=status, looked_at=f"at least {FEWEST_PATIENTS} per class",
                 found=found)  # fmt: skip


def class_associations(study: StudyResults) -> Check:
    """Check that the class cannot be predicted from the site or the device."""
    asked = {column: association(study.compared, column) for column in ("site", "device")}
    known = {column: (v, p) for column, (v, p) in asked.items() if np.isfinite(v)}
    found = [f"{column}: Cramér's V {v:.2f}, permutation p {p:.3f}" for column, (v, p) in known.items()]
    related = any(p * len(known) <= ALPHA for _, p in known.values())
    status: Status = "amber" if related else "green"
    looked = f"class against site and device, permuted by patient, at {ALPHA} over those recorded"
    if not found:
        text = "site and device are not recorded, or the same for all"
        return Check(name="Class and site or device", status="not checked", looked_at=looked, found=text)
    return Check(name="Class and site or device", status=status, looked_at=looked, found="; ".join(found))
