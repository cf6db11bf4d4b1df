"""Other studies of the same results root that share final runs with a study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.results.protocol import protocol_of


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """Another results folder with some of a study's final runs."""

    folder: Path
    shared: int
    """How many final runs both have."""
    frozen_at: str
    """When its protocol was frozen, ISO 8601; empty where an older version began it."""
    is_copy: bool
    """Whether it was frozen by the very command that froze the study: a copy of the folder."""


def siblings(folder: Path, frozen: object, run_hashes: Iterable[str]) -> list[Sibling]:
    """Find the studies beside a results folder that share final runs with it.

    Args:
        folder: the study's results folder.
        frozen: the frozen section of its study.json.
        run_hashes: its final runs.
    """
    own, found = set(run_hashes) - {""}, []
    for path in sorted(folder.resolve().parent.glob("*/study.json")):
        if path.parent == folder.resolve():
            continue
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            theirs = pd.read_parquet(path.with_name("ledger.parquet"), columns=["run_hash"])
            protocol = protocol_of(info)
        except Exception:  # damaged, foreign or unfinished: it says nothing, and pyarrow raises anything
            continue
        if shared := len(own & set(theirs["run_hash"])):
            date = str(protocol.frozen.get("date") or "")
            is_copy = bool(frozen) and protocol.frozen == frozen
            found.append(Sibling(folder=path.parent, shared=shared, frozen_at=date, is_copy=is_copy))
    return found
