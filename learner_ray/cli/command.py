"""What every command owes whoever types it: text on any terminal, and one sentence and an exit code for a
mistake or a fault of the place.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from learner_ray.core.errors import PlaceError, StorageError, UserError
from learner_ray.core.files import storage_fault
from learner_ray.core.paths import mistaken_path

COMPLETE, UNFINISHED, MISTAKE, SOME_FAILED = 0, 1, 2, 3
"""Exit codes; README, "Exit codes", has all."""

INTERRUPTED = "\nInterrupted; all finished runs are kept. Go on with:\n  {}"


def answer(carry_out: Callable[[], int], *, again: str = "") -> int:
    """Carries out a command and says in a sentence what stopped it.

    Args:
        carry_out: reads its arguments too; its exit code, where nothing stops it.
        again: the command line that goes on where this one was stopped; empty where nothing is kept.

    Returns:
        the exit code: 1 for a fault of the place, 2 for a mistake, 130 after Ctrl-C, 141 where nobody reads
        the output any more.
    """
    printable()
    try:
        with shown_messages("stdout"):
            code = carry_out()
            sys.stdout.flush()
            return code
    except UserError as error:
        return _told(str(error), MISTAKE)
    except KeyboardInterrupt:
        if again:
            print(INTERRUPTED.format(again))
        return 128 + signal.SIGINT
    except PlaceError as error:
        return _unfinished(str(error), again, storage=isinstance(error, StorageError))
    except MemoryError as error:
        said = " ".join(str(error).split()) or "more was asked for than there is"
        return _unfinished(f"the memory of this machine does not suffice: {said}", again, storage=False)
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
        print(record.getMessage(), file=getattr(sys, self._stream), flush=True)


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


def printable() -> None:
    """From here on a sign that the terminal lacks ends no command: in a table it is "?", which is as wide; in
    a message, which may name a file, its number.
    """
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)


def _told_of_files(error: OSError, again: str) -> int:
    """Of a file that cannot be used, or an output that nobody takes. All else is a fault of ours."""
    if error.filename is None and isinstance(error, BrokenPipeError):  # as of `| head`, which has seen enough
        return 128 + signal.SIGPIPE
    if error.filename is None and error.errno == errno.ENOSPC:
        return _unfinished("no room is left for the output, or for a file", again, storage=True)
    mistake = mistaken_path(error)
    if mistake:
        return _told(mistake, MISTAKE)
    fault = storage_fault(error, None)
    if not fault:
        raise error
    return _unfinished(fault, again, storage=True)


def _unfinished(fault: str, again: str, *, storage: bool) -> int:
    if not again:
        return _told(fault, UNFINISHED)
    remedy = "make room, or bring the storage back, and go on" if storage else "once that is mended go on"
    return _told(f"{fault}. All that has ended is kept: {remedy} with:\n  {again}", UNFINISHED)


def _told(fault: str, code: int) -> int:
    print(f"error: {fault}", file=sys.stderr)
    return code


def _output_fails() -> bool:
    """Whether what was printed cannot be written."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        return True
    return False


def _silence() -> None:
    """Python writes what is left once more at its end, and would complain."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
