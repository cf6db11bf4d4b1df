"""Folds of patients for training, tuning and testing, drawn once and shared by all arms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learner_ray.cohort.cohort import Cohort
from learner_ray.cohort.score import CLASSES
from learner_ray.core.errors import UserError
from learner_ray.core.files import json_object, write_json
from learner_ray.core.seeding import random_key

PARTS = 4
"""Parts of the outer training patients: validation, classifier held-out, and two for pretraining."""

_ATTEMPTS = 100

Counts = tuple[int, int, int]
"""A patient's pairs of each class."""


@dataclass(frozen=True)
class Fold:
    """One fold of one repeat. ``test`` and ``parts`` together are all patients, each once."""

    repeat: int
    """Number of the repeat, from 0."""
    fold: int
    """Number of the fold within the repeat, from 0."""
    test: tuple[str, ...]
    """The outer test patients, sorted."""
    parts: tuple[tuple[str, ...], ...]
    """The outer training patients, divided into four of similar class mix."""


def make_splits(cohort: Cohort, *, folds: int, repeats: int, seed: int) -> list[Fold]:
    """Divides a cohort's patients, class by class as evenly as whole patients allow.

    Patients are dealt in random order, those who hold the rarest class first, each to the group that has the
    smallest share of what the patient brings: iterative stratification (Sechidis 2011, doi
    10.1007/978-3-642-23808-6_10) with patients for samples.

    Measured beside scikit-learn's StratifiedGroupKFold, five folds, 20 repeats: on OASIS-2 two patients of
    one fold meet again in another repeat with probability 0.196 in both (0.195 by chance), a fold's class
    counts miss the mean by at most 0.6 / 0.8 / 0.6 pairs on average (0.6 / 1.0 / 0.6 there, 4.0 / 6.2 / 2.8
    unstratified), and fold sizes differ by 1.7 patients (3.2 there); on COVID-BLUES the two are alike. Unlike
    it, this deals patients without pairs too and does not depend on NumPy's random stream.

    Args:
        cohort: its patients and pairs; patients without a pair are dealt too.
        folds: outer folds per repeat; each patient is tested in one of them.
        repeats: divisions of the same patients, all different.
        seed: the same seed and patients give the same splits on any machine.

    Returns:
        Folds ordered by repeat and fold.

    Raises:
        UserError: there are too few patients, or a class is absent from an outer test fold or from the
            outer training patients.
    """
    if folds < 2 or repeats < 1:
        raise UserError(f"--folds must be at least 2 and --repeats at least 1, not {folds} and {repeats}")
    if folds > len(cohort.patients):
        raise UserError(
            f"--folds {folds}: {cohort.name} has {len(cohort.patients)} patients; use fewer folds"
        )
    counts = counts_by_patient(cohort)
    made: list[Fold] = []
    seen: set[frozenset[tuple[str, ...]]] = set()
    for repeat in range(repeats):
        for fold, test in enumerate(_new_division(cohort, counts, folds, seed, repeat, seen)):
            made.append(fold_around(test, counts, seed=seed, repeat=repeat, fold=fold))
    return made


def fold_around(
    test: Sequence[str], counts: Mapping[str, Counts], *, seed: int, repeat: int, fold: int
) -> Fold:
    """The fold that tests some patients, all others being dealt to four parts of similar class mix.

    Args:
        test: the patients to test.
        counts: pairs of each class by patient, of all patients of the cohort.
        seed: the same seed, repeat and fold deal the same patients to the same parts on any machine.
        repeat: number of the repeat.
        fold: number of the fold.
    """
    training = {p: counts[p] for p in sorted(counts.keys() - set(test))}
    parts = _deal(training, PARTS, random_key(seed, "parts", repeat, fold))
    return Fold(repeat, fold, tuple(sorted(test)), tuple(parts))


def counts_by_patient(cohort: Cohort) -> dict[str, Counts]:
    """Pairs of each class by patient; a patient without a pair has none of any."""
    counts = dict.fromkeys(cohort.patients, (0, 0, 0))
    for patient, pairs in cohort.pairs().groupby("patient"):
        worse, same, better = np.bincount(pairs["y"].to_numpy(int), minlength=3).tolist()
        counts[str(patient)] = (worse, same, better)
    return counts


def _new_division(
    cohort: Cohort,
    counts: Mapping[str, Counts],
    folds: int,
    seed: int,
    repeat: int,
    seen: set[frozenset[tuple[str, ...]]],
) -> list[tuple[str, ...]]:
    """A division into test folds that no earlier repeat has and that lacks no class anywhere."""
    fault = ""
    for attempt in range(_ATTEMPTS):
        tests = _deal(counts, folds, random_key(seed, "test", repeat, attempt))
        fault = _fault(cohort, counts, tests)
        if not fault and frozenset(tests) not in seen:
            seen.add(frozenset(tests))
            return tests
    raise UserError(
        fault
        or f"{len(counts)} patients cannot be divided into {folds} folds in {repeat + 1} different ways of "
        "equal class mix; use fewer folds or fewer repeats"
    )


def _deal(counts: Mapping[str, Counts], groups: int, key: int) -> list[tuple[str, ...]]:
    """Patients in groups of similar class mix and size, each sorted.

    A group's burden is the sum over classes of its squared share of all pairs of the class, and likewise of
    all patients; each patient goes where the burden grows least.
    """
    totals = [max(sum(of[c] for of in counts.values()), 1) for c in range(3)]

    def rarest(of: Counts) -> float:
        return min((totals[c] for c in range(3) if of[c]), default=float("inf"))

    # Keys and not a generator's shuffle: its stream may change between versions of NumPy.
    order = sorted(counts, key=lambda p: (rarest(counts[p]), random_key(key, p)))
    held = [[0, 0, 0] for _ in range(groups)]
    dealt: list[list[str]] = [[] for _ in range(groups)]
    for patient in order:
        of = counts[patient]

        def growth(group: int, of: Counts = of) -> tuple[float, int]:
            pairs = sum(held[group][c] * of[c] / totals[c] ** 2 for c in range(3))
            return pairs + len(dealt[group]) / len(counts) ** 2, group

        chosen = min(range(groups), key=growth)
        dealt[chosen].append(patient)
        held[chosen] = [a + b for a, b in zip(held[chosen], of, strict=True)]
    return [tuple(sorted(group)) for group in dealt]


def _fault(cohort: Cohort, counts: Mapping[str, Counts], tests: Sequence[Sequence[str]]) -> str:
    """Why these test folds will not do, with the remedy; empty if they will."""
    holders = {p for p, of in counts.items() if any(of)}
    if len(holders) - max(len(holders.intersection(test)) for test in tests) < PARTS:
        return (
            f"{cohort.name}: only {len(holders)} patients have two visits or more: in {len(tests)} folds "
            f"fewer than {PARTS} of them are left to train on; add patients, or use more folds"
        )
    for c, name in enumerate(CLASSES):
        total = sum(of[c] for of in counts.values())
        tested = [sum(counts[p][c] for p in test) for test in tests]
        if min(tested) == 0 or max(tested) == total:
            where = (
                f"test fold {tested.index(0)}" if max(tested) < total else "the training patients of a fold"
            )
            patients = sum(of[c] > 0 for of in counts.values())
            return (
                f"{cohort.name}: class {name!r} is absent from {where}, of {len(tests)}: there are {total} "
                f"such pairs in {patients} patients; use fewer folds, or a change threshold other than "
                f"{cohort.score.change_threshold:g} (score, change_threshold, in the manifest's sidecar)"
            )
    return ""


def splits_hash(folds: Sequence[Fold]) -> str:
    """SHA-256 over all folds and their patients."""
    text = json.dumps([asdict(fold) for fold in folds], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def save_splits(folds: Sequence[Fold], path: Path, origin: Mapping[str, str] | None = None) -> None:
    """Writes ``splits.json``, with a hash of its folds.

    Args:
        folds: what is written.
        path: of the file.
        origin: where the folds come from, if this package did not draw them; no part of the hash.
    """
    written = {"hash": splits_hash(folds), "folds": [asdict(fold) for fold in folds]}
    write_json(path, {**(origin or {}), **written})


def load_splits(path: Path) -> list[Fold]:
    """The folds that ``save_splits`` wrote.

    Raises:
        UserError: the file is absent, damaged or was changed.
    """
    try:
        stored = json_object(path)
        folds = [_fold(values) for values in stored["folds"]]
        intact = stored["hash"] == splits_hash(folds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read as splits ({error}): restore it; or remove it, and the same command "
            "writes it again"
        ) from error
    if not intact:
        raise UserError(
            f"{path} was changed since it was written: restore it; or remove it, and the same command writes "
            "it again"
        )
    return folds


def _fold(values: dict[str, Any]) -> Fold:
    parts = tuple(tuple(part) for part in values["parts"])
    return Fold(values["repeat"], values["fold"], tuple(values["test"]), parts)
