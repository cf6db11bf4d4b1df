"""What a sweep is given, read and checked before anything slow is loaded or started.

A mistake in an option, a study, a key, an arm or the cohort's table is told here, within a second, and before
a cluster is asked for devices.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.cli.options import parse_edits
from learner_ray.cohort import Cohort
from learner_ray.cohort.faults import all_listed
from learner_ray.cohort.table import SUFFIXES
from learner_ray.core.errors import UserError
from learner_ray.core.files import cache_root
from learner_ray.core.names import file_name
from learner_ray.core.paths import refuse_unwritable
from learner_ray.imaging.gate import folds_asked, inspect
from learner_ray.imaging.source import PHANTOM, open_cohort
from learner_ray.run.object_storage import StoredFolder, is_url
from learner_ray.run.spec import Source
from learner_ray.study.profiles import PROFILES
from learner_ray.study.results import Results
from learner_ray.study.study import Study
from learner_ray.study.study_file import load_study

if TYPE_CHECKING:
    from learner_ray.study.designs import Winner

COUNTS = ("trials", "folds", "repeats", "seeds", "audits")
"""Options that stand for a profile's numbers."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that a command line asks for, but for what only devices can tell."""

    study: Study
    arms: tuple[str, ...]
    edits: Mapping[str, Any]
    """Dotted keys of ``--set`` and their values."""
    size: Mapping[str, int]
    """Numbers to use instead of the profile's."""
    winner: Winner | None
    """What ``--fixed-from`` names."""
    source: Source
    cohort: Cohort
    results: Results


def read_inputs(args: argparse.Namespace) -> Inputs:
    """Reads the study and the cohort of a command line.

    Raises:
        UserError: something is wrong with either, or with an option.
    """
    study, arms, winner = choose_study(args)
    edits, size = _check_numbers(args, study, arms)
    source, results = choose_source(args, study)
    for folder in (results.out, results.store.root, cache_root()):
        refuse_unwritable(folder)
    with all_listed(results.faults):
        cohort = open_cohort(source)
        if cohort.modality != study.modality:
            raise UserError(
                f"{source.path} is a cohort of {cohort.modality}, study {study.name} is of {study.modality}"
            )
        folds = folds_asked(args.folds, args.profile)
        inspect(cohort, folds=folds, seed=args.seed, skip_bad=args.skip_bad)
    return Inputs(
        study=study, arms=arms, edits=edits, size=size, winner=winner, source=source, cohort=cohort,
        results=results,
    )  # fmt: skip


def choose_results(args: argparse.Namespace) -> Results:
    """Where a study lies that will run elsewhere; all is checked that can be told from here.

    Raises:
        UserError: as in ``read_inputs``.
    """
    study, arms, _ = choose_study(args)
    _check_numbers(args, study, arms)
    return choose_source(args, study)[1]


def _check_numbers(
    args: argparse.Namespace, study: Study, arms: Sequence[str]
) -> tuple[dict[str, Any], dict[str, int]]:
    """The edits and the sizes that are asked for, which can be, of arms that there are."""
    edits = parse_edits(args)
    study.base.with_values(edits)
    for name in arms:
        study.arm(name)
    size = {name: n for name in COUNTS if (n := getattr(args, name)) is not None}
    replace(PROFILES["laptop"], **size)  # refuses numbers that cannot be
    return edits, size


def choose_study(args: argparse.Namespace) -> tuple[Study, tuple[str, ...], Winner | None]:
    """The study that is named, or what --fixed-from or --factor makes of it; and the arms to run."""
    if args.with_models and args.cluster is None:
        raise UserError("--with-models goes with --cluster: here the models stay where they are trained")
    study = load_study(args.study)
    winner = None
    if args.fixed_from:
        from learner_ray.study.designs import around, read_winner

        if args.factor:
            raise UserError("--fixed-from and --factor make a study each: give one of them")
        winner = read_winner(Path(args.fixed_from), args.fixed_arm)
        study = around(study, winner)
    if args.factor:
        return *_factorial(args, study), None
    if args.half or (args.fixed_arm and winner is None):
        raise UserError("--half goes with --factor, and --fixed-arm with --fixed-from")
    return study, tuple(args.arms.split(",")) if args.arms is not None else study.default_arms, winner


def _factorial(args: argparse.Namespace, study: Study) -> tuple[Study, tuple[str, ...]]:
    from learner_ray.study.designs import factorial, parse_factors

    names = (args.arms or "").split(",")
    if len(names) != 1 or not names[0]:
        raise UserError("--factor changes one arm: name it, as in --arms contrastive")
    study = factorial(study, study.arm(names[0]), parse_factors(args.factor), half=args.half)
    return study, study.default_arms


def choose_source(args: argparse.Namespace, study: Study) -> tuple[Source, Results]:
    """The cohort's source and the place of the results."""
    phantom = args.data is None
    for option, value in (("--data", args.data), ("--out", args.out)):
        if value == "":
            raise UserError(f"{option} is empty: name a path, or leave it out")
    if args.data and is_url(args.data):
        path = StoredFolder.at(args.data).url
        folder = path.rpartition("/")[0] if path.endswith(SUFFIXES) else path
        if args.out and args.out.startswith(f"{folder}/"):
            raise UserError(f"--out {args.out} is among the data, with which every node would fetch it")
    else:
        path = f"{PHANTOM}{study.modality}" if phantom else _resolved(args.data)
    source = Source(path=path, format=args.format, modality=study.modality, missing=args.missing)
    made = "-fixed" if args.fixed_from else "-factorial" if args.factor else ""
    default = Path("results") / file_name(f"{study.name}{made}{'-phantom' if phantom else ''}")
    return source, Results(args.out or str(default))


def _resolved(path: str) -> str:
    """The whole path: other processes of a cluster have working directories of their own."""
    try:
        return str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError) as error:  # a link to itself; a user that is not known
        raise UserError(f"--data {path}: {error}; give a manifest (.csv, .tsv) or a data folder") from error
