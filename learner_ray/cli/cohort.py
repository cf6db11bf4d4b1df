"""``python -m learner_ray.cohort check PATH`` says what a cohort holds and what is wrong with it; ``draft
FOLDER`` begins a manifest."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from learner_ray.cli.command import add_scan_limit, answer, make_parser, show
from learner_ray.cli.missing_codes import add_option, joined
from learner_ray.core.errors import UserError
from learner_ray.core.paths import refuse_unwritable

if TYPE_CHECKING:  # pandas comes with it, which --help does not need
    from learner_ray.cohort import Cohort
    from learner_ray.core.sections import DataConfig
    from learner_ray.imaging.gate import Decoded

logger = logging.getLogger(__name__)

FEW_PATIENTS = 20
"""Patients with a class below which its figures are hardly worth printing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Carries out the command: 0, 2 for a mistake in the cohort, 1 for a fault of the place."""
    return answer(lambda: _carry_out(sys.argv[1:] if arguments is None else arguments))


def draft_main(arguments: Sequence[str], *, prog: str) -> int:
    """Carries out ``learner-ray draft``: 0, 2 where there is no scan or the manifest exists."""

    def carry_out() -> int:
        parser = make_parser(prog, "Lists a folder's scans in a manifest, to be filled in.")
        add_draft_options(parser)
        show(draft(parser.parse_args(arguments)))
        return 0

    return answer(carry_out)


def _carry_out(arguments: Sequence[str]) -> int:
    options = parser().parse_args(joined(arguments))
    show(options.does(options))
    return 0


def parser() -> argparse.ArgumentParser:
    """The parser of both commands."""
    p = make_parser("python -m learner_ray.cohort", "Checks a cohort, or begins one.")
    commands = p.add_subparsers(required=True, metavar="check | draft")
    one = commands.add_parser("check", help="say what is found at a path, and what is wrong with it")
    one.add_argument("path", help="Manifest (.csv, .tsv) or data folder.")
    add_check_options(one)
    one.set_defaults(does=check)
    first = commands.add_parser("draft", help="list a folder's scans in a manifest, to be filled in")
    add_draft_options(first)
    first.set_defaults(does=draft)
    return p


def add_check_options(one: argparse.ArgumentParser) -> None:
    """Adds the options of a check of a cohort."""
    one.add_argument("--modality", default="", help="lus or mri: decides the score where none is stated.")
    one.add_argument(
        "--format", metavar="LAYOUT", help="Layout of the data folder, for a folder that is not recognised."
    )
    one.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="Folds of the study to come. Without it: those of the profiles.",
    )
    one.add_argument("--decode", action="store_true", help="Reads every pixel, not headers alone.")
    one.add_argument(
        "--gallery",
        type=Path,
        metavar="FILE.html",
        help="Writes a page with a picture of every scan as the network sees it. Implies --decode.",
    )
    one.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="The study's value of a configuration key, as for sweep: data.* decides how scans are read "
        "(default: 64 pixels, 8 frames).",
    )
    one.add_argument(
        "--allow-duplicates", action="store_true", help="Passes files that have the same content."
    )
    add_scan_limit(one)
    one.add_argument(
        "--out", default=".", metavar="DIR", help="Where a list of faults goes that is too long to print."
    )
    add_option(one)


def add_draft_options(first: argparse.ArgumentParser) -> None:
    """Adds the arguments of a draft."""
    first.add_argument("path", type=Path, help="The folder that holds the scans.")
    first.add_argument(
        "--out", type=Path, default=Path("manifest.csv"), help="The manifest to write (default: %(default)s)."
    )


def draft(options: argparse.Namespace) -> str:
    """Begins a manifest, and returns what to do next.

    Raises:
        UserError: there is no scan, or the manifest exists.
    """
    from learner_ray.cohort.draft import write_draft
    from learner_ray.imaging.headers import SUFFIXES

    scans = write_draft(options.path, options.out, [end for ends in SUFFIXES.values() for end in ends])
    return (
        f"{options.out}: {scans} scans; fill in patient, visit and score, then:\n"
        f"  python -m learner_ray.cohort check {options.out}"
    )


def check(options: argparse.Namespace) -> str:
    """Puts a cohort through the gate and returns what it holds. Faults that fit on no screen go into a file.

    Raises:
        UserError: it does not pass.
    """
    from learner_ray.cohort.faults import all_listed

    with all_listed(Path(options.out) / f"{Path(options.path).resolve().stem}-faults.txt"):
        return _check(options)


def _check(options: argparse.Namespace) -> str:
    from learner_ray.cli.options import key_values
    from learner_ray.cohort import load
    from learner_ray.cohort.duplicates import find_duplicates, hashes_of_equal_sizes, require_distinct
    from learner_ray.core.config import Config
    from learner_ray.imaging import gate
    from learner_ray.study.profiles import folds_asked

    data = Config().with_values(key_values(options.set)).data
    if options.gallery is not None:
        _require_page(options.gallery)
    cohort = load(options.path, format=options.format, modality=options.modality, missing=options.missing)
    # Reading headers of volumes is loaded once there are scans: no mistake in a table waits for it.
    from learner_ray.imaging.fields_of_view import describe, fields_of_view, note_differences

    decoded: Decoded | None = None
    if options.gallery is not None:  # first, since a cohort too small to be divided may be looked at, too
        gate.inspect(cohort, folds=(), most_gb=options.max_scan_gb)
        decoded = _decoded(cohort, data, options)
        _write_gallery(options.gallery, decoded, data)
    complaints = gate.inspect(cohort, folds=folds_asked(options.folds), most_gb=options.max_scan_gb)
    if options.decode and decoded is None:
        decoded = _decoded(cohort, data, options)
    oddities: Mapping[str, Sequence[str]]
    if decoded is not None:
        fields, oddities = decoded.fields, decoded.oddities
    else:
        duplicates = find_duplicates(cohort, hashes_of_equal_sizes(cohort))
        if not options.allow_duplicates:
            require_distinct(cohort, duplicates)
        fields = fields_of_view(cohort)
        odd_fields = note_differences(cohort, fields) | gate.note_orientations(cohort)
        oddities = {**gate.note_names(cohort), **odd_fields, **gate.note_duplicates(duplicates)}
    read = (
        "every scan was decoded" if decoded is not None else "headers were read; --decode reads every pixel"
    )
    warnings = [*(f"warning: {complaint}" for complaint in complaints), *gate.warnings(oddities)]
    return "\n".join([report(cohort), *describe(fields), *warnings, read])


def _decoded(cohort: Cohort, data: DataConfig, options: argparse.Namespace) -> Decoded:
    from learner_ray.imaging import gate

    return gate.decode(
        cohort,
        data.pixels,
        allow_duplicates=options.allow_duplicates,
        most_gb=options.max_scan_gb,
    )


def _require_page(path: Path) -> None:
    """Refuses a place where no page can be written, before scans are read."""
    if path.suffix.lower() != ".html" or path.is_dir():
        raise UserError(f"--gallery {path}: name a file ending in .html")
    refuse_unwritable(path.parent)


def _write_gallery(path: Path, decoded: Decoded, data: DataConfig) -> None:
    """Writes the page, and says so and which scans may show text."""
    from learner_ray.imaging import gate
    from learner_ray.imaging.gallery.gallery import write_gallery
    from learner_ray.imaging.looks import LOOKS

    cohort = decoded.cohort
    text = gate.burnt_in_text(cohort.shown(crop=data.crop, mask=data.mask))
    about = {scan: [LOOKS[look]] for scan, look in decoded.cache.looks.items()}
    for words, scans in (
        ("may show burnt-in text", text),
        ("may show names or dates", gate.may_name(cohort)),
    ):
        for scan in scans:
            about.setdefault(scan, []).append(words)
    size = write_gallery(path, cohort, decoded.cache, data, about)
    count = f"{len(cohort.scans):,} scans, {size / 1e6:.1f} MB"
    logger.info("%s: %s; keep it where the data are", path, count)
    for line in gate.warnings(gate.note_text(text)):
        logger.info(line)


def report(cohort: Cohort) -> str:
    """What a cohort holds, and what to mind about it."""
    from learner_ray.cohort import CLASSES

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
