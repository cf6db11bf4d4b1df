"""What a study's run log says, read as far as it has grown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class RunSeen:
    """A run that has begun or ended."""

    search: str
    """Name of its search: arm, repeat and fold."""
    arm: str
    """Name of its arm, which may have slashes itself."""
    role: str
    """``trial``, ``audit`` or ``final``."""
    name: str
    """Its role and number, such as ``trial-003``."""
    run_hash: str
    epochs: int = 0
    """Epochs that it will have trained, or has where it has ended."""
    begun: float | None = None
    """When it was handed out to be trained, in seconds since 1970; None for a run of an earlier start."""
    since: float | None = None
    """When it began to train, for it may have waited for a device; None until its first epoch has ended."""
    ended: float | None = None
    """When it ended; None too for a run of an earlier start."""
    state: str = ""
    """How it ended; empty while it has not."""
    reason: str = ""
    selection_score: float | None = None
    best_epoch: int = 0
    device_seconds: float = 0.0

    @property
    def label(self) -> str:
        """The readable name, as in TensorBoard."""
        return f"{self.search}/{self.name}"

    @property
    def trains_since(self) -> float | None:
        """When it began to train, as near as it is known; None for a run of an earlier start."""
        return self.since or self.begun

    @property
    def seconds(self) -> float | None:
        """How long it trained, in seconds of a clock; None where that was not seen, or it has not ended."""
        return self.ended - self.trains_since if self.ended and self.trains_since else None

    @property
    def underway(self) -> bool:
        """Whether it has begun and not ended."""
        return not self.state


@dataclass
class RunLogReader:
    """A run log, of which each call of :meth:`update` reads what has come since.

    Args:
        path: the file, which may not exist yet.
    """

    path: Path
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the name of a search, its numbers of ``trials``, ``audits`` and ``finals`` and what it waits for."""
    head: dict[str, Any] = field(default_factory=dict)
    """The first line."""
    runs: dict[str, RunSeen] = field(default_factory=dict)
    """By label, in the order in which they began."""
    lost: set[str] = field(default_factory=set)
    """Searches of which no trial is complete, so that there can be no final run."""
    slots: int = 1
    """Runs that can go at a time; 1 while it is not known."""
    changed_at: float = 0.0
    """When the file was last written, in seconds since 1970."""
    _read: int = 0
    _file: tuple[int, int] = (0, 0)

    def update(self) -> bool:
        """Reads what has come, all of it where the study was started anew.

        Returns:
            Whether there is such a file.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            content = self._new()
        except FileNotFoundError:
            return False
        whole = content[: content.rfind(b"\n") + 1]  # the last line may be half written
        self._read += len(whole)
        for line in _objects(whole):
            self._take(line)
        return True

    def _new(self) -> bytes:
        with open(self.path, "rb") as stream:
            status = os.fstat(stream.fileno())
            file = (status.st_dev, status.st_ino)
            if file != self._file or status.st_size < self._read:
                self._begin_anew(file)
            self.changed_at = status.st_mtime
            stream.seek(self._read)
            return stream.read()

    def _begin_anew(self, file: tuple[int, int]) -> None:
        self.searches, self.head, self.runs, self.lost = {}, {}, {}, set()
        self._read, self._file, self.slots = 0, file, 1

    def _take(self, line: Mapping[str, Any]) -> None:
        if "searches" in line:
            self.head, self.searches = dict(line), line["searches"]
        elif "lost" in line:
            self.lost.add(line["lost"])
        elif "slots" in line:
            self.slots = int(line["slots"])
        elif "training" in line:
            self._run(line["training"], line).since = line.get("since")
        elif "start" in line:
            run = self._run(line["start"], line)
            run.begun, run.epochs, run.state = line.get("at"), line.get("epochs", 0), ""
            run.since = None
        elif "end" in line:
            run = self._run(line["end"], line)
            run.ended, run.state, run.reason = line.get("at"), line["state"], line.get("reason", "")
            run.selection_score, run.best_epoch = line.get("selection_score"), line.get("best_epoch", 0)
            run.epochs, run.device_seconds = line.get("epochs", 0), line.get("device_seconds", 0.0)

    def _run(self, label: str, line: Mapping[str, Any]) -> RunSeen:
        if label not in self.runs:
            search, _, name = label.rpartition("/")
            # One text for each name, since thousands of runs share them.
            self.runs[label] = RunSeen(
                search=sys.intern(search),
                arm=sys.intern(search.rpartition("/")[0]),
                role=sys.intern(name.partition("-")[0]),
                name=sys.intern(name),
                run_hash=str(line.get("hash", "")),
            )
        return self.runs[label]


def _objects(content: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of whole lines; a damaged line is left out."""
    for line in content.decode(errors="replace").splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
