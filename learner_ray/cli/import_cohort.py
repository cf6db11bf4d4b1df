"""Makes a manifest of a data set as it was distributed: finds its scans and joins their scores.

learner-ray import bids study/ --score MMSE --out manifest.csv
learner-ray import clips.xlsx --columns path=File,patient=ID,date=Exam --scores records.csv --score sf \\
    --spo2 SpO2 --fio2 FiO2 --modality lus
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learner_ray.cli.command import answer, make_parser, show
from learner_ray.cli.missing_codes import add_option, joined
from learner_ray.core.components import IMPORTERS
from learner_ray.core.errors import UserError

if TYPE_CHECKING:  # pandas comes with them, which --help does not need
    from learner_ray.cohort import Cohort
    from learner_ray.cohort.score import Score
    from learner_ray.cohort.sources.importer import ImportOptions
    from learner_ray.cohort.sources.importing import Imported

SHOWN = 12
"""Rows of the manifest that ``--dry-run`` shows."""
_WIDEST = 44
_UNITS = {"d": 1.0, "h": 1 / 24, "min": 1 / 1440, "w": 7.0}


def main(arguments: Sequence[str], *, prog: str = "learner-ray import") -> int:
    """Carries out the command: 0, or 2 for a mistake in the data or the command line."""
    return answer(lambda: _import(parser(prog).parse_args(joined(arguments))))


def parser(prog: str) -> argparse.ArgumentParser:
    """The parser of the command."""
    p = make_parser(prog, __doc__)
    p.usage = f"{prog} [KIND] PATH [options]"
    p.add_argument(
        "what", nargs="+", metavar="[KIND] PATH", help="What to import; KIND is guessed, and said."
    )
    p.epilog = f"kinds: {', '.join(IMPORTERS.built_in)}"
    p.add_argument("--out", type=Path, default=Path("manifest.csv"), help="Manifest (default: %(default)s).")
    p.add_argument("--dry-run", action="store_true", help="Shows what would be written, and writes nothing.")
    p.add_argument("--modality", default="", help="lus, mri or another word, where the data do not tell.")
    scores = p.add_argument_group("scores")
    scores.add_argument("--scores", type=Path, metavar="TABLE", help="Table of scores, if in one of its own.")
    scores.add_argument("--score", default="", help="MMSE, sf (made from records) or a column's name.")
    scores.add_argument(
        "--columns", type=_columns, default={}, metavar="ROLE=NAME,...", help="Names of a table's columns."
    )
    add_option(scores)
    scores.add_argument("--date-format", default="", help="How dates are written, as DD/MM/YYYY.")
    scores.add_argument(
        "--score-window", type=_days, metavar="90d", help="Farthest score: 90d, 6h (default: 90d; sf: 6h)."
    )
    scores.add_argument("--score-range", metavar="LOW,HIGH", help="Range of a score that is not a known one.")
    scores.add_argument("--healthier", choices=("higher", "lower"), help="Which way that score is healthier.")
    scores.add_argument("--change", type=float, help="Least change of that score that counts.")
    oxygen = p.add_argument_group("S/F ratio (--score sf)")
    for name, what in (
        ("spo2", "the oxygen saturation"),
        ("fio2", "the inspired fraction of oxygen"),
        ("flow", "the oxygen flow in L/min"),
        ("device", "what the oxygen is given by"),
    ):
        oxygen.add_argument(f"--{name}", default="", metavar="COLUMN", help=f"Column of {what}.")
    _add_scans(p)
    return p


def _add_scans(p: argparse.ArgumentParser) -> None:
    """The options that say which scans are meant, and whose they are."""
    scans = p.add_argument_group("scans")
    scans.add_argument("--prefer", default="", metavar="TEXT", help="Of repeats, takes those named so.")
    scans.add_argument("--derivative", default="", help="BIDS, CAPS: folder of processed images to take.")
    scans.add_argument("--space", default="", help="BIDS: template space of processed images.")
    scans.add_argument("--time-from", default="", metavar="NAME", help="BIDS: what tells when visits were.")
    scans.add_argument(
        "--patient-from",
        default="",
        metavar="tag|folder|REGEX",
        help="DICOM: where patients' ids come from (default: tag, that is PatientID).",
    )
    scans.add_argument(
        "--patients",
        type=Path,
        metavar="TABLE",
        help="DICOM: whose files or folders are, in columns path and patient; counts before their tags.",
    )
    scans.add_argument(
        "--view-from", default="", metavar="REGEX", help="DICOM: view, in descriptions or file names."
    )
    scans.add_argument(
        "--series", default="", metavar="REGEX", help="DICOM: MR series to take (default: T1-weighted ones)."
    )
    scans.add_argument(
        "--register", action="store_true", help="Writes later volumes as they lie on the patient's first one."
    )
    scans.add_argument("--bids", type=Path, help="CAPS: the BIDS data set that holds the scores.")


def _import(args: argparse.Namespace) -> int:
    from learner_ray.cohort.sources.importing import run_import
    from learner_ray.cohort.sources.writing import refuse_existing

    if not args.dry_run:
        refuse_existing(args.out)
        if args.register:
            refuse_existing(_unregistered(args.out))
    if args.register:
        from learner_ray.imaging.registration import require_simpleitk

        require_simpleitk()
    importer, path = _what(args.what)
    imported = run_import(
        importer,
        path,
        _options(args),
        _Progress(),
        window=args.score_window,
        score=_own_score(args),
    )
    show("\n".join(_said(imported)))
    if args.dry_run:
        show("\n".join([*_table(imported.rows), "nothing was written (--dry-run)"]))
        return 0
    return _write(args.out, imported, register=args.register)


def _write(out: Path, imported: Imported, *, register: bool) -> int:
    """Writes the files and reads the manifest again as a sweep would."""
    from learner_ray.cli.cohort import report
    from learner_ray.cohort.sources.writing import write_import

    if not imported.rows:
        raise UserError("no scan has a score, so nothing was written; --dry-run lists what was found")
    if register:
        imported = _registered(out, imported)
    written = write_import(out, imported.rows, imported.sidecar, imported.left_out)
    show(f"written: {', '.join(str(path) for path in written)}")
    show(f"{report(_read_again(out, imported))}\nnext: learner-ray check {out}")
    return 0


def _read_again(manifest: Path, imported: Imported) -> Cohort:
    from learner_ray.cohort.manifest import read_manifest

    try:
        return read_manifest(manifest, modality=str(imported.sidecar["modality"]))
    except UserError as error:
        raise UserError(f"{error}\nThe manifest was written: correct it there, or in the data.") from error


def _registered(out: Path, imported: Imported) -> Imported:
    """An import that lists what came of registering its volumes. Until all are made, only the manifest of
    the volumes as they were exists: a sweep shall not take it for that of the registered ones."""
    from learner_ray.cohort.sources.writing import write_import
    from learner_ray.imaging.registration import register_to_first

    if any(row.get("crop") or row.get("mask") for row in imported.rows):
        raise UserError(
            "--register moves volumes away from their crops and masks: leave the option or these columns out"
        )
    write_import(_unregistered(out), imported.rows, imported.sidecar, left_out=())
    cohort = _read_again(_unregistered(out), imported)
    written = register_to_first(cohort, out.absolute().with_name(f"{out.stem}-registered"), _Progress())
    home = out.absolute().parent
    rows = [
        {**row, "path": str(written[line].relative_to(home)), "files": ""} if line in written else row
        for line, row in enumerate(imported.rows, start=2)
    ]
    print(f"registered: {len(written)} volumes, in {out.stem}-registered; before: {_unregistered(out)}")
    return replace(imported, rows=rows)


def _unregistered(out: Path) -> Path:
    """Where the manifest of the volumes as they were lies, beside that of the registered ones."""
    return out.with_name(f"{out.stem}-unregistered.csv")


def _what(words: Sequence[str]) -> tuple[Any, Path]:
    """The importer and the path that the user names."""
    from learner_ray.cohort.sources.guess import evidence_of, guess, importer_of

    if len(words) > 2:
        raise UserError(f"give a kind and a path, not {' '.join(words)}")
    path = Path(words[-1]).expanduser()
    if len(words) == 2:
        IMPORTERS.require(words[0])
    if not path.exists():
        raise UserError(f"{path} does not exist; give the folder or table to import")
    if len(words) == 2:
        importer = importer_of(words[0])
        if evidence_of(importer, path) is None:
            raise UserError(f"{path} is not {importer.name}, which needs {importer.needs}")
        return importer, path
    importer, why = guess(path)
    show(why)
    return importer, path


def _options(args: argparse.Namespace) -> ImportOptions:
    from learner_ray.cohort.sources.importer import ImportOptions
    from learner_ray.cohort.sources.scores import PREFIX, ROLES

    unknown = sorted({role.removeprefix(PREFIX) for role in args.columns} - set(ROLES))
    if unknown:
        raise UserError(
            f"--columns {unknown[0]}=...: no such column of a manifest; known: {', '.join(ROLES)}"
        )
    for table in (args.scores, args.bids, args.patients):
        if table is not None and not table.exists():
            raise UserError(f"{table} does not exist")
    if args.fio2 and (args.flow or args.device):
        raise UserError("give --fio2, or --flow and --device, and not both")
    return ImportOptions(**{f.name: getattr(args, f.name) for f in fields(ImportOptions)})


def _own_score(args: argparse.Namespace) -> Score | None:
    """The score that the user describes; None where it is a known one."""
    from learner_ray.cohort.score import Score

    described = (args.score_range, args.healthier, args.change)
    if not any(part is not None for part in described):
        return None
    if any(part is None for part in described):
        raise UserError("a score of your own needs all of --score-range, --healthier and --change")
    try:
        low, high = (float(part) for part in args.score_range.split(","))
    except ValueError as error:
        raise UserError(f"--score-range {args.score_range}: write it as 0,70") from error
    return Score(
        name=args.score or "score",
        unit="",
        low=low,
        high=high,
        healthier=args.healthier,
        change_threshold=args.change,
    )


def _said(imported: Imported) -> list[str]:
    """What was recognised and left out, and why."""
    from learner_ray.cohort.sources.writing import reasons

    patients = {row["patient"] for row in imported.rows}
    lines = [*imported.notes, f"{len(imported.rows)} scans of {len(patients)} patients have a score"]
    if imported.left_out:
        lines += [f"left out: {len(imported.left_out)}", *reasons(imported.left_out)]
    return lines


def _table(rows: Sequence[Any]) -> list[str]:
    """The first rows of the manifest, in columns as wide as their cells."""
    from learner_ray.cohort.sources.writing import COLUMNS

    used = [column for column in COLUMNS if any(row.get(column) for row in rows)]
    cells = [used, *([_short(row.get(column, "")) for column in used] for row in rows[:SHOWN])]
    widths = [max(len(line[i]) for line in cells) for i in range(len(used))]
    lines = [
        "  ".join(f"{cell:{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in cells
    ]
    return [*lines, f"... and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else lines


def _short(cell: str) -> str:
    return cell if len(cell) <= _WIDEST else "..." + cell[3 - _WIDEST :]


def _columns(text: str) -> dict[str, str]:
    """The columns that an option names, as ``patient=PTID,date=EXAMDATE``."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not (sign and role.strip() and name.strip()) for role, sign, name in pairs):
        raise argparse.ArgumentTypeError(f"{text!r}: write it as patient=PTID,date=EXAMDATE")
    return {role.strip(): name.strip() for role, _, name in pairs}


def _days(text: str) -> float:
    """A window in days, given as 90d, 6h, 30min or 2w."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(d|h|min|w)", text.strip())
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write it as 90d, 6h, 30min or 2w")
    return float(parts[1]) * _UNITS[parts[2]]


class _Progress:
    """Shows now and then how far the search has come, on a terminal in one line."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, count: int, what: str) -> None:
        if time.monotonic() - self._last < 1:
            return
        self._last = time.monotonic()
        terminal = sys.stderr.isatty()
        print(
            f"\r{count:,} {what}" if terminal else f"{count:,} {what}",
            end="" if terminal else "\n",
            file=sys.stderr,
            flush=True,
        )
