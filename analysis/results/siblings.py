"""Other studies of the same results root that share final runs, or at least the cohort, with a study."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.results.protocol import protocol_of


@dataclass(frozen=True, kw_only=True)
class Sibling:
    """Another results folder with some of a study's final runs, or of its cohort."""

    folder: Path
    shared: int
    """How many final runs both have; 0 where they share the cohort alone."""
    frozen_at: str
    """When its protocol was frozen, ISO 8601; empty where an older version began it."""
    is_copy: bool
    """Whether it was frozen by the very command that froze the study: a copy of the folder."""


def siblings(folder: Path, info: Mapping[str, Any], run_hashes: Iterable[str]) -> list[Sibling]:
    """Find the studies beside a results folder that share final runs with it, or its cohort.

    Args:
        folder: the study's results folder.
        info: its study.json.
        run_hashes: its final runs.
    """
    own, found = set(run_hashes) - {""}, []
    for path in sorted(folder.resolve().parent.glob("*/study.json")):
        if path.parent == folder.resolve():
            continue
        try:
            other = json.loads(path.read_text(encoding="utf-8"))
            theirs = pd.read_parquet(path.with_name("ledger.parquet"), columns=["run_hash"])
            protocol, cohort = protocol_of(other), other.get("cohort_hash")
        except Exception:  # damaged, foreign or unfinished: it says nothing, and pyarrow raises anything
            continue
        shared = len(own & set(theirs["run_hash"]))
        if shared or (cohort and cohort == info.get("cohort_hash")):
            date = str(protocol.frozen.get("date") or "")
            is_copy = bool(protocol.frozen) and protocol.frozen == info.get("frozen")
            found.append(Sibling(folder=path.parent, shared=shared, frozen_at=date, is_copy=is_copy))
    return found
