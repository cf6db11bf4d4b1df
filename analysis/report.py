"""The command: results folders to tables, figures and one page.

python analysis/report.py results/lus results/mri --out report
python analysis/report.py results/lus --out handed-out --share
python analysis/report.py --check report
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a script, Python puts this folder first on the path; the package is found from the one above.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.results.errors import ReportError

if TYPE_CHECKING:
    from analysis.page.page import Report

FEWEST_DRAWS, MOST_DRAWS = 100, 100_000
"""Limits of --draws: with fewer no p could be small; more fill the memory and change no printed digit."""


def draws(text: str) -> int:
    """Parse the value of --draws: how many bootstrap draws the intervals rest on."""
    if not text.isascii() or not text.isdigit() or not FEWEST_DRAWS <= int(text) <= MOST_DRAWS:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {FEWEST_DRAWS} to {MOST_DRAWS:,}, not {text!r}"
        )
    return int(text)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a mistake ends the process with exit status 2."""
    parser = argparse.ArgumentParser(prog="report.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, help="folders of studies, for example results/lus")
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder to write (default: report)")
    parser.add_argument("--draws", type=draws, help="bootstrap draws (default: 10,000)")
    parser.add_argument("--importance", action="store_true", help="also rank hyperparameters (7 s per arm)")
    parser.add_argument(
        "--share",
        action="store_true",
        help="only page and CSVs, without ids, frames and folders: to hand out",
    )
    parser.add_argument(
        "--study",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="study file (.py) that defines a study's own primary metric: its code runs; may be repeated",
    )
    parser.add_argument("--check", type=Path, metavar="DIR", help="only say whether a report is up to date")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program; None for the process's own.

    Returns:
        Exit status: 0 done, 1 the checked report is out of date, 2 a folder is missing, foreign, damaged or
        without a final run, or the report cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a sign shows a question mark
            stream.reconfigure(errors="replace")
    options = parse(arguments)
    # Imports stand where they are needed: neither --help nor a mistake waits for pandas and matplotlib.
    try:
        if options.study:
            from analysis.statistics.study_metric import name_study_files

            name_study_files(options.study)
        if options.check:
            from analysis.page.staleness import changed_sources

            changed = changed_sources(options.check)
            print("\n".join(changed) or f"{options.check}: up to date")
            return 1 if changed else 0
        report = made(options)
    except ReportError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 2
    from analysis.results.names import printable
    from analysis.tables.render import plain

    print(plain(report.tables[0]))
    if options.importance and not any(d.name.startswith("importance") for d in report.drawings):
        from analysis.statistics.importance import FEWEST_TRIALS

        print(
            f"importance: no arm has {FEWEST_TRIALS} complete trials, so nothing is ranked", file=sys.stderr
        )
    for item in report.statistics:
        for problem in item.study.problems:
            print(printable(f"{item.study.folder}: {problem}"), file=sys.stderr)
    print(f"report: {options.out / 'index.html'}")
    whole = all(len(item.study.ledger) and not item.study.damaged for item in report.statistics)
    return 0 if whole else 2


def made(options: argparse.Namespace) -> Report:
    """Build the report that a command line asks for, and write it.

    The folder is tried before statistics are computed: to compute verdicts is a look at the results, which is
    recorded, and nobody has looked at a report that could not be written.

    Raises:
        ReportError: a folder of results cannot be read, or that of the report cannot be written.
    """
    if options.out.exists() and not options.out.is_dir():
        raise ReportError(f"{options.out}: is a file; name a folder for the report, for example --out report")
    if options.share:
        require_empty(options.out)
    from analysis.results.load import load

    studies = load(options.results).studies
    # Statistics and drawing are loaded once there is something to report: no mistake waits for them.
    from analysis.building import build, write
    from analysis.sharing import shareable, shareable_study, write_shared

    if options.share:
        studies = tuple(map(shareable_study, studies))
    with told_if_unwritable(options.out):
        options.out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=options.out):
            pass
    with logged_to_stderr():
        report = build(studies, options.draws, rank=options.importance)
    with told_if_unwritable(options.out):
        if options.share:
            write_shared(shareable(report), options.out)
        else:
            write(report, options.out)
    return report


def require_empty(out: Path) -> None:
    """Refuse a folder that holds something already, which would be handed out with the report.

    Raises:
        ReportError: it does.
    """
    if out.exists() and any(out.iterdir()):
        raise ReportError(
            f"{out}: is not an empty folder; --share writes into one of its own, so that all in it may be "
            "handed out: name another --out"
        )


@contextmanager
def told_if_unwritable(out: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what to do.

    Raises:
        ReportError: the folder of a report cannot be written.
    """
    try:
        yield
    except OSError as error:
        place = error.filename or out
        raise ReportError(f"{place}: cannot be written ({error.strerror}); choose another --out") from error


@contextmanager
def logged_to_stderr() -> Iterator[None]:
    """Show what the package logs about its progress on standard error."""
    logger, handler = logging.getLogger("analysis"), logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def command() -> int:
    """Run ``main`` for a shell, with exit status 141 where nobody reads the output any more (``| head``)."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes the rest at its end
        return 141
    return code


if __name__ == "__main__":
    sys.exit(command())
