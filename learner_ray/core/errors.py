"""The errors a user can mend: commands print them without a traceback."""

from __future__ import annotations

from collections.abc import Iterator


class UserError(Exception):
    """A mistake in what was given, with the remedy in its message."""


class PlaceError(Exception):
    """A fault of the place and not of what was given: data, a node, a device or memory that has gone.

    Completed runs are kept. Commands print the sentence and how to resume, and exit with 1.
    """


class StorageError(PlaceError):
    """Results can no longer be written. Completed runs are kept; the same command resumes from there."""


class TimeOverError(PlaceError):
    """The time that a study was given is over. Completed runs are kept; the same command resumes."""


class Interrupted(KeyboardInterrupt):
    """A signal ended a study early. What had ended is kept; the same call or command goes on from there.

    Args:
        number: the signal, such as ``signal.SIGINT``.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by signal {number}")
        self.number = number


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that it was raised from on purpose."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
