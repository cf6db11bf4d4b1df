"""What every command offers its user: text on any terminal, the library's messages as plain lines, and
one sentence and an exit code for a mistake or a fault of the place.
"""

from __future__ import annotations

import argparse
import errno
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NoReturn

from learner_ray.core import names
from learner_ray.core.errors import Interrupted, PlaceError, StorageError, TimeOverError, UserError
from learner_ray.core.files import storage_fault
from learner_ray.core.paths import mistaken_path
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.core.withheld import sayable

COMPLETE, UNFINISHED, MISTAKE, SOME_FAILED = 0, 1, 2, 3
"""Exit codes; docs/exit-codes.md has all."""

INTERRUPTED = "\nInterrupted. Completed runs are saved; rerun the same command to resume:\n  {}"


def make_parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of a command, with the head and the style of help that all commands share.

    Args:
        prog: the command as the user types it.
        description: what the command does; its line breaks are kept.
    """
    return argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_study_file(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the study file of a run with components of the user's own."""
    parser.add_argument(
        "--study",
        dest="study_file",
        type=Path,
        metavar="FILE",
        help="The study file (.py) that defines components of the run: its code runs. No file that the run "
        "itself names is run.",
    )


def add_scan_limit(parser: argparse.ArgumentParser) -> None:
    """Adds the option that limits the values of a scan, as a sweep has it."""
    parser.add_argument(
        "--max-scan-gb",
        type=_gigabytes,
        default=DEFAULT_SCAN_GB,
        metavar="GB",
        help="Refuses a scan with more GB of values, at 4 bytes each, before it is read "
        "(default: %(default)g).",
    )


def _gigabytes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def run_from_shell(main: Callable[[], int]) -> NoReturn:
    """Carries out a command that was typed in a shell, and ends the process with its exit code. SIGTERM ends
    it as an exit does, so that what it began is cleaned up."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())


def answer(
    carry_out: Callable[[], int], *, again: str = "", messages: Literal["stdout", "stderr"] = "stdout"
) -> int:
    """Carries out a command and says in a sentence what stopped it.

    Args:
        carry_out: reads its arguments too, and returns the exit code where nothing stops it.
        again: the command line that goes on where this one was stopped; empty where nothing is kept.
        messages: where the messages of the library are shown.

    Returns:
        The exit code: 1 for a fault of the place, 2 for a mistake, 130 after Ctrl-C, 141 where nobody reads
        the output any more.
    """
    printable()
    try:
        with shown_messages(messages):
            code = carry_out()
            sys.stdout.flush()
            return code
    except UserError as error:
        return _told(str(error), MISTAKE)
    except KeyboardInterrupt as error:
        if again:
            print(INTERRUPTED.format(again))
        return 128 + (error.number if isinstance(error, Interrupted) else signal.SIGINT)
    except PlaceError as error:
        return _unfinished(str(error), again, _remedy(error))
    except MemoryError as error:
        said = " ".join(str(error).split()) or "more was asked for than there is"
        return _unfinished(f"this machine has not enough memory: {said}", again)
    except OSError as error:
        return _told_of_files(error, again)
    finally:
        if _output_fails():
            _silence()


class _PlainLines(logging.Handler):
    """Shows messages as plain lines on the standard output or error of the moment."""

    def __init__(self, stream: str) -> None:
        super().__init__()
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a message. An output that fails ends the command, as it does for what the command prints."""
        said = record.getMessage()
        if record.levelno >= logging.WARNING:
            said = sayable(said)
        show(said, self._stream)


@contextmanager
def shown_messages(stream: str) -> Iterator[None]:
    """Shows what the library logs, as plain lines."""
    library, handler = logging.getLogger("learner_ray"), _PlainLines(stream)
    level = library.level
    library.addHandler(handler)
    library.setLevel(logging.INFO)
    try:
        yield
    finally:
        library.removeHandler(handler)
        library.setLevel(level)


def show(text: object, stream: str = "stdout") -> None:
    """Prints lines that may hold names of files, scans or arms, which could else command the terminal."""
    print(names.printable(str(text)), file=getattr(sys, stream), flush=True)


def printable() -> None:
    """Lets a sign that the terminal lacks end no command from here on: in a table it is shown as "?", which
    is as wide; in a message, which may name a file, as its number."""
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


def _told_of_files(error: OSError, again: str) -> int:
    """Says which file cannot be used, or that nobody takes the output. Any other error is a fault of ours."""
    if error.filename is None and isinstance(error, BrokenPipeError):  # as of `| head`, which has seen enough
        return 128 + signal.SIGPIPE
    if error.filename is None and error.errno == errno.ENOSPC:
        return _unfinished("no room is left for the output, or for a file", again, MAKE_ROOM)
    mistake = mistaken_path(error)
    if mistake:
        return _told(mistake, MISTAKE)
    fault = storage_fault(error, None)
    if not fault:
        raise error
    return _unfinished(fault, again, MAKE_ROOM)


MEND, MAKE_ROOM, NO_REMEDY = "mend this, then ", "make room, or bring the storage back, then ", ""


def _remedy(error: PlaceError) -> str:
    """What is to be done before the same command can go on."""
    if isinstance(error, TimeOverError):
        return NO_REMEDY
    return MAKE_ROOM if isinstance(error, StorageError) else MEND


def _unfinished(fault: str, again: str, remedy: str = MEND) -> int:
    if not again:
        return _told(fault, UNFINISHED)
    said = f"{fault}. Completed runs are saved: {remedy}rerun the same command to resume:\n  {again}"
    return _told(said, UNFINISHED)


def _told(fault: str, code: int) -> int:
    show(f"error: {sayable(fault)}", "stderr")
    return code


def _output_fails() -> bool:
    """Whether what was printed cannot be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def _silence() -> None:
    """Keeps Python from writing the rest of the output once more at its end, and complaining."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
