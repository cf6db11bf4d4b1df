"""Mistakes in a cohort, collected so that all can be corrected at once, and listed so that they fit a
screen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic

LISTED = 20
"""Faults of each kind that a message lists, and kinds that it lists; the rest are counted."""


class FaultsError(UserError):
    """Many faults, of which the message shows some of each kind.

    Attributes:
        whole: all of them, where the message leaves some out; else empty.
    """

    whole = ""

    @classmethod
    def of(cls, title: str, faults: Sequence[tuple[str, str]], remedy: str = "") -> FaultsError:
        """An error that lists faults under a title.

        Args:
            title: the first line of the message.
            faults: kind and line of each fault, in the order in which to list them.
            remedy: the last line of the message.
        """
        shown, all_lines = few_of_each(faults), [f"  {line}" for _, line in faults]
        error = cls("\n".join([title, *shown, remedy]).rstrip())
        if set(all_lines) - set(shown):
            error.whole = "\n".join([title, *all_lines, remedy]).rstrip() + "\n"
        return error


def few_of_each(lines: Sequence[tuple[str, str]]) -> list[str]:
    """At most ``LISTED`` lines of each kind, indented and sorted by kind, and how many more there are."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for kind, line in lines:
        kinds[kind].append(line)
    shown = []
    for of in list(kinds.values())[:LISTED]:
        shown += [f"  {line}" for line in of[:LISTED]]
        if len(of) > LISTED:
            shown.append(f"  and {len(of) - LISTED:,} more of this kind")
    others = sum(len(of) for of in list(kinds.values())[LISTED:])
    return [*shown, f"  and {others:,} of other kinds"] if others else shown


@contextmanager
def all_listed(path: Path) -> Iterator[None]:
    """Writes the whole list of faults to a file where the message is too short for it, and names that
    file."""
    try:
        yield
    except FaultsError as error:
        if not error.whole:
            raise
        try:
            write_atomic(path, error.whole)
        except OSError as unwritable:
            where = f"the whole list cannot be written to {path} ({unwritable.strerror})"
        else:
            where = f"all of them are listed in {path}"
        raise UserError(f"{error}\n{where}") from error


class Faults:
    """What is wrong with one file, line by line."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[tuple[int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, row: int, fault: str) -> None:
        """Notes a fault, with its remedy after a semicolon; row 0 means the whole file."""
        self._found.append((row, fault))

    def raise_any(self) -> None:
        """Raises the faults that were noted, in the order of their rows; of many, some of each kind.

        Raises:
            UserError: a fault was noted.
        """
        if not self._found:
            return
        found = sorted(self._found)
        lines = [f"row {row}: {fault}" if row else fault for row, fault in found]
        if len(lines) == 1:
            raise UserError(f"{self._source}: {lines[0]}")
        # What has one remedy is of one kind, whichever cell it names; few faults stay in the order of rows.
        few = len(lines) <= LISTED
        kinds = ["" if few else fault.partition("; ")[2] or fault.partition(": ")[2] for _, fault in found]
        title = f"{self._source}: {len(lines):,} faults"
        raise FaultsError.of(title, list(zip(kinds, lines, strict=True)))
