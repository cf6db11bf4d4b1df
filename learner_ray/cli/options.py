"""The options of ``python -m learner_ray.sweep``."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from learner_ray.cli.missing_codes import add_option
from learner_ray.core.components import PRUNERS
from learner_ray.core.errors import UserError
from learner_ray.study.profiles import PROFILES
from learner_ray.study.samplers import SAMPLERS
from learner_ray.study.study_file import study_names

HUNG_AFTER_S = 1800.0

RETRY = {"failed": ("audit", "final"), "failed-trials": ("trial", "audit", "final")}
"""What ``--retry`` may be, and the roles of runs that it stands for."""


def parser() -> argparse.ArgumentParser:
    """Of all options; what they are given is checked where it is used."""
    does = "Search each arm, train and test the winners anew, show the table."
    p = argparse.ArgumentParser(prog="python -m learner_ray.sweep", description=does)
    p.add_argument("study", help=f"{', '.join(study_names())}, or the path of a study file (.py)")
    p.add_argument(
        "--data", metavar="PATH", help="manifest or folder; without it the modality's phantom cohort"
    )
    p.add_argument("--format", help="layout of the folder, where it is not recognised")
    add_option(p)
    p.add_argument(
        "--out",
        metavar="DIR",
        help="results folder, or s3://BUCKET/FOLDER (default: results/STUDY, or results/STUDY-phantom)",
    )
    p.add_argument(
        "--profile", choices=PROFILES, help="how large (default: paper on GPUs with real data, else laptop)"
    )
    p.add_argument("--arms", help="comma-separated (default: the study's)")
    for name in ("trials", "folds", "repeats", "seeds", "audits", "epochs"):
        p.add_argument(f"--{name}", type=int, help=f"{name}, instead of the profile's")
    p.add_argument(
        "--pruner",
        metavar="NAME",
        help=f"what stops trials early: {', '.join(PRUNERS.built_in)}, one of Optuna's as in optuna.median, "
        "or your own (default: the study's, else halving)",
    )
    p.add_argument("--scheduler", dest="pruner", help=argparse.SUPPRESS)  # what it was called before
    p.add_argument("--sampler", choices=SAMPLERS, default="tpe", help="who suggests what to try next")
    p.add_argument(
        "--devices-per-trial", type=_count, default=1, metavar="N", help="CPUs or GPUs of each run"
    )
    p.add_argument(
        "--trials-per-gpu",
        type=_count,
        metavar="N",
        help="runs that share a GPU (default: measured, if many are left)",
    )
    p.add_argument("--max-concurrent", type=_count, help="runs at a time (default: what the devices hold)")
    p.add_argument(
        "--hung-after",
        type=_seconds,
        default=HUNG_AFTER_S,
        metavar="SECONDS",
        help="end a run that finishes no epoch for so long, and start it once more (default: %(default)g)",
    )
    p.add_argument(
        "--retry",
        choices=RETRY,
        help="run failed audits and final runs again; failed-trials: trials too, and what was suggested "
        "after them is searched anew (default: what has failed stays)",
    )
    p.add_argument("--set", dest="edits", action="append", default=[], metavar="KEY=VALUE", help="fix a key")
    p.add_argument("--skip-bad", action="store_true", help="go on without scans that cannot be read")
    p.add_argument(
        "--allow-duplicates", action="store_true", help="go on with files that hold what another one holds"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--address", help="of a Ray cluster, or 'local' (default: this machine's cluster, if any)")
    p.add_argument("--extend", action="store_true", help="add arms, trials, seeds or repeats to a study")
    _add_laptops_own(p)
    _add_designs(p)
    p.add_argument("--plan", action="store_true", help="print what would run, and run nothing")
    return p


def _count(text: str) -> int:
    """A whole number of 1 or more."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    """A finite time above zero."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _add_laptops_own(p: argparse.ArgumentParser) -> None:
    """Options that concern the laptop alone, where a sweep is sent to a cluster."""
    p.add_argument("--cluster", type=Path, metavar="FILE", help="run on this cluster, brought up by `ray up`")
    p.add_argument("--with-models", action="store_true", help="with --cluster: bring encoders home, too")


def for_cluster(argv: Sequence[str]) -> tuple[str, ...]:
    """A command line without the options that concern the laptop alone."""
    own = argparse.ArgumentParser(add_help=False)
    _add_laptops_own(own)
    return tuple(own.parse_known_args(argv)[1])


def _add_designs(p: argparse.ArgumentParser) -> None:
    """Other studies than every arm searched in every fold."""
    p.add_argument(
        "--protocol",
        choices=("nested", "development"),
        default="nested",
        help="search in every fold, or in the first alone and freeze (cheaper, and not nested)",
    )
    p.add_argument(
        "--fixed-from",
        metavar="DIR",
        help="all arms of a searched study at its winner's setting, and one factor in or out",
    )
    p.add_argument("--fixed-arm", metavar="ARM", help="with --fixed-from: take this arm for the winner")
    p.add_argument(
        "--factor",
        action="append",
        default=[],
        metavar="KEY=LOW,HIGH",
        help="with others: every combination of levels, on top of the one arm of --arms",
    )
    p.add_argument("--half", action="store_true", help="with --factor: half of the combinations")


def parse_edits(args: argparse.Namespace) -> dict[str, Any]:
    """The user's dotted keys, ``--epochs`` among them."""
    edits: dict[str, Any] = {}
    for text in args.edits:
        key, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write KEY=VALUE, as in --set train.lr=0.001")
        if key == "seed":
            raise UserError(f"--set {text}: every run has a seed of its own, made from the study's: --seed N")
        edits[key] = value
    if args.epochs is not None:
        edits["train.epochs"] = args.epochs
    return edits
