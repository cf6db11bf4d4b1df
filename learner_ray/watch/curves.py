"""Learning curves of a few trials of each arm, of which only files that have changed are read again."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from learner_ray.run.progress import device_seconds, read_rows, selection_score
from learner_ray.watch.events import RunSeen

BEST, SHOWN = 3, 24
"""Trials of each arm whose curves are shown: the best ones, and all together beside those under way. Nobody
tells more lines apart, and each is a file to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a run."""

    scores: tuple[float, ...]
    """Selection score of each epoch; NaN where it has none."""
    last: dict[str, Any]
    """The last row; empty where there is none."""
    device_seconds: float
    changed_at: float
    """When its file was last written, in seconds since 1970; 0 where there is none."""


NONE_YET = Progress(scores=(), last={}, device_seconds=0.0, changed_at=0.0)


class ProgressFiles:
    """The progress of runs, each file read again only where its size or time has changed.

    Args:
        runs: the folder of all runs.
    """

    def __init__(self, runs: Path) -> None:
        self._runs = runs
        self._known: dict[str, tuple[tuple[int, int], Progress]] = {}

    def of(self, run_hash: str) -> Progress:
        """The progress of a run; of one without a file, none.

        Raises:
            OSError: the file cannot be read.
        """
        path = self._runs / run_hash / "progress.jsonl"
        try:
            status = path.stat()
        except FileNotFoundError:
            return NONE_YET
        stamp = (status.st_size, status.st_mtime_ns)
        known = self._known.get(run_hash)
        if known is None or known[0] != stamp:
            known = self._known[run_hash] = (stamp, _progress(path, status.st_mtime))
        return known[1]

    def keep(self, run_hashes: Iterable[str]) -> None:
        """Forgets all other runs."""
        kept = set(run_hashes)
        self._known = {name: known for name, known in self._known.items() if name in kept}


def _progress(path: Path, changed_at: float) -> Progress:
    rows, _ = read_rows(path)
    return Progress(
        scores=tuple(map(selection_score, rows)),
        last=rows[-1] if rows else {},
        device_seconds=device_seconds(rows),
        changed_at=changed_at,
    )


def shown_trials(trials: Sequence[RunSeen]) -> list[RunSeen]:
    """The trials of an arm whose curves are shown: those under way, the best, and a sample of the others that
    stays the same while more come: those with the smallest hashes."""
    scored = [run for run in trials if not run.underway and run.selection_score is not None]
    scored.sort(key=score_of, reverse=True)
    best = scored[:BEST]
    others = sorted(scored[BEST:], key=lambda run: run.run_hash)[: SHOWN - len(best)]
    return [*others, *(run for run in trials if run.underway), *reversed(best)]


def score_of(run: RunSeen) -> float:
    """The selection score of a run; one without any is the worst."""
    return -math.inf if run.selection_score is None else run.selection_score
