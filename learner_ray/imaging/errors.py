"""Errors about scans that cannot be read, and the message that lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from learner_ray.cohort.faults import FaultsError


class ScanError(Exception):
    """A file that cannot be read in full, with the reason in one line.

    Attributes:
        path: the file.
        reason: one line, without the path.
        may_pass: whether another process, or this one at another time, may well read it, as after its decoder
            was killed.
    """

    def __init__(self, path: str, reason: str, *, may_pass: bool = False) -> None:
        self.path = str(path)
        self.may_pass = may_pass
        self.reason = " ".join(str(reason).split())
        super().__init__(f"{self.path}: {self.reason}")

    def __reduce__(self) -> tuple[type[ScanError], tuple[str, str]]:
        return type(self), (self.path, self.reason)


@dataclass(frozen=True, kw_only=True)
class BadScan:
    """A scan that cannot be read: where it is listed, which file, and why."""

    scan: str
    """Id of the scan."""
    source: str
    """The file that lists it."""
    row: int
    """Its row there."""
    path: str
    """The file that cannot be read."""
    reason: str
    """Why, in one line without the path."""

    def __str__(self) -> str:
        return f"{self.source}, row {self.row}: {self.path} {self.reason}"

    @property
    def unnamed(self) -> str:
        """Its row and the reason, for what is handed out: a path may name the patient."""
        return f"row {self.row}: {self.kind}"

    @property
    def kind(self) -> str:
        """The reason without the details of this file: brackets and remedies, and N for every number."""
        return re.sub(r"\d+(\.\d+)?", "N", re.split(r" \(|;", self.reason)[0])


def unreadable(bad: Sequence[BadScan], good: int) -> FaultsError:
    """The error about the scans of a cohort that cannot be read.

    Args:
        bad: the scans that cannot be read.
        good: number of scans that can.
    """
    remedy = (
        "repair or remove them, or leave them out with --skip-bad" if good else "no scan is left to work with"
    )
    title = f"{len(bad):,} of {len(bad) + good:,} scans cannot be read:"
    return FaultsError.of(title, [(scan.kind, str(scan)) for scan in bad], remedy)
