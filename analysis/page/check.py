"""One validity check: a question about a study, what was looked at, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["green", "amber", "red", "not checked"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question about a study, what was looked at, and what was found."""

    name: str
    status: Status
    looked_at: str
    """What was looked at, and where."""
    found: str
    """What was found, or why nothing was checked."""
