"""``python -m learner_ray.cohort check PATH``: what was found, what is wrong, class counts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from learner_ray.cohort import CLASSES, FORMATS, Cohort, load
from learner_ray.command import answer

FEW_PATIENTS = 20
"""Patients with a class below which its figures are hardly worth printing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 when the cohort can be used, 2 when something is wrong with it."""
    return answer(lambda: _check(arguments))


def _check(arguments: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(prog="python -m learner_ray.cohort", description="Check a cohort.")
    commands = parser.add_subparsers(required=True, metavar="check")
    check = commands.add_parser("check", help="say what is found at a path, and what is wrong with it")
    check.add_argument("path", help="manifest (.csv, .tsv) or folder")
    check.add_argument("--modality", default="", help="decides the score where none is stated: lus or mri")
    check.add_argument("--format", choices=FORMATS, help="by default the path is recognised")
    options = parser.parse_args(arguments)
    cohort = load(options.path, format=options.format, modality=options.modality)
    print(report(cohort))
    return 0


def report(cohort: Cohort) -> str:
    """What a cohort holds, and what to mind about it."""
    facts, score, pairs = cohort.summary(), cohort.score, cohort.pairs()
    kind = [cohort.modality, *["phantom"] * cohort.phantom, *["not temporal"] * (not cohort.temporal)]
    unit = f" {score.unit}" if score.unit else ""
    lines = [
        f"{cohort.name} ({', '.join(kind)}): {facts['scans']} scans, {facts['visits']} visits, "
        f"{facts['patients']} patients",
        f"score: {score.name}, {score.low:g} to {score.high:g}{unit}, {score.healthier} is healthier; "
        f"a change of {score.change_threshold:g} or more counts",
        f"progression pairs: {facts['pairs']} in {facts['patients_with_pairs']} patients",
    ]
    patients = [int(pairs.loc[pairs["y"] == c, "patient"].nunique()) for c in range(3)]
    for name, count, holders in zip(CLASSES, facts["class_counts"], patients, strict=True):
        lines.append(f"  {name:<6} {count:>5} pairs in {holders} patients")
    if pairs["interval_days"].notna().any():
        low, middle, high = pairs["interval_days"].quantile([0, 0.5, 1])
        lines.append(f"interval: median {middle:g} days ({low:g} to {high:g})")
    lines += [f"note: {note}" for note in cohort.notes]
    lines += [
        f"warning: {holders} patients have a pair of class {name!r}; below {FEW_PATIENTS}, figures of this "
        "class say little"
        for name, holders in zip(CLASSES, patients, strict=True)
        if holders < FEW_PATIENTS
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
