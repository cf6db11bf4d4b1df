"""``python -m learner_ray.cohort``: ``check PATH`` says what was found, what is wrong and how many pairs each
class has; ``draft FOLDER`` begins a manifest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from learner_ray.cli.command import answer
from learner_ray.cli.missing_codes import add_option, joined
from learner_ray.cohort import CLASSES, Cohort, load
from learner_ray.cohort.draft import write_draft
from learner_ray.cohort.duplicates import find_duplicates, hashes_of_equal_sizes, require_distinct
from learner_ray.cohort.faults import all_listed
from learner_ray.study.profiles import folds_asked

FEW_PATIENTS = 20
"""Patients with a class below which its figures are hardly worth printing."""
SIZE = 64
"""Height and width of frames that ``--decode`` leaves in the cache: those of the smallest profile."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, 2 for a mistake in the cohort, 1 for a fault of the place."""
    return answer(lambda: _carry_out(sys.argv[1:] if arguments is None else arguments))


def _carry_out(arguments: Sequence[str]) -> int:
    options = parser().parse_args(joined(arguments))
    print(options.does(options))
    return 0


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(
        prog="python -m learner_ray.cohort", description="Check a cohort, or begin one."
    )
    commands = p.add_subparsers(required=True, metavar="check | draft")
    one = commands.add_parser("check", help="say what is found at a path, and what is wrong with it")
    one.add_argument("path", help="manifest (.csv, .tsv) or folder")
    one.add_argument("--modality", default="", help="decides the score where none is stated: lus or mri")
    one.add_argument("--format", help="manifest, or the name of a source (default: recognised)")
    one.add_argument("--folds", type=int, help="of the study to come (default: those of the profiles)")
    one.add_argument("--decode", action="store_true", help="read every pixel, not headers alone")
    one.add_argument(
        "--allow-duplicates", action="store_true", help="pass files that hold what another one holds"
    )
    one.add_argument(
        "--out", default=".", metavar="DIR", help="where a list of faults goes that is too long to print"
    )
    add_option(one)
    one.set_defaults(does=check)
    first = commands.add_parser("draft", help="list a folder's scans in a manifest, to be filled in")
    first.add_argument("path", type=Path, help="folder that holds the scans")
    first.add_argument("--out", type=Path, default=Path("manifest.csv"), help="default: %(default)s")
    first.set_defaults(does=draft)
    return p


def draft(options: argparse.Namespace) -> str:
    """Begins a manifest; what to do next.

    Raises:
        UserError: there is no scan, or the manifest exists.
    """
    from learner_ray.imaging.headers import SUFFIXES

    scans = write_draft(options.path, options.out, [end for ends in SUFFIXES.values() for end in ends])
    return (
        f"{options.out}: {scans} scans; fill in patient, visit and score, then:\n"
        f"  python -m learner_ray.cohort check {options.out}"
    )


def check(options: argparse.Namespace) -> str:
    """Puts a cohort through the gate; what to say of it. What does not fit on a screen goes into a file.

    Raises:
        UserError: it does not pass.
    """
    with all_listed(Path(options.out) / f"{Path(options.path).resolve().stem}-faults.txt"):
        return _check(options)


def _check(options: argparse.Namespace) -> str:
    from learner_ray.imaging import gate

    cohort = load(options.path, format=options.format, modality=options.modality, missing=options.missing)
    complaints = gate.inspect(cohort, folds=folds_asked(options.folds))
    oddities: Mapping[str, Sequence[str]]
    if options.decode:
        oddities = gate.decode(cohort, SIZE, allow_duplicates=options.allow_duplicates).oddities
    else:
        duplicates = find_duplicates(cohort, hashes_of_equal_sizes(cohort))
        if not options.allow_duplicates:
            require_distinct(cohort, duplicates)
        oddities = gate.note_duplicates(duplicates)
    read = "every scan was decoded" if options.decode else "headers were read; --decode reads every pixel"
    warnings = [*(f"warning: {complaint}" for complaint in complaints), *gate.warnings(oddities)]
    return "\n".join([report(cohort), *warnings, read])


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
