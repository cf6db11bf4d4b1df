"""Sends a study's runs to an experiment tracker. A tracker that is slow, or gone, costs the study nothing:
runs are sent from a thread, and what could not be sent is sent by the next start of the same command."""

from __future__ import annotations

import json
import logging
import queue
import re
import textwrap
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from learner_ray.run.folder import RunStore
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import PlannedRun, RunResult
from learner_ray.tracking.destination import Destination, Row, TrackedRun

logger = logging.getLogger(__name__)

SENT = "tracked.jsonl"
"""File of the results folder that says which runs were sent where. Without it they are sent once more."""
SECONDS_TO_FINISH = 60.0
"""How long a sweep that has ended waits for the tracker."""
REASON_LENGTH = 160
"""The most characters of an error that are shown."""


class Tracker(Callback):
    """Follows a study and sends what happens to a tracker, in the order in which it happens.

    Args:
        destination: the tracker.
        study: the study's name there.
        phantom: whether its scans are made up.
        out: the study's results folder.
        store: the folders of all runs.
    """

    def __init__(
        self, destination: Destination, study: str, out: Path, store: RunStore, *, phantom: bool
    ) -> None:
        self._study, self._phantom, self._store = study, phantom, store
        self._sender = Sender(destination, SentRuns(out / SENT, destination))
        self._live: set[str] = set()
        """Labels of the runs that have started in this process and not ended."""
        self._ended: set[tuple[str, str]] = set()
        """Labels and hashes of those that have ended: where searches are closed, all are announced again."""

    def on_start(self, planned: PlannedRun) -> None:
        """Begins a run, with the epochs of before a restart."""
        self._live.add(planned.label)
        rows = self._store.folder(planned.spec.hash).progress()
        self._begin(planned, rows[:-1])  # the last one is reported again

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Sends the numbers of an epoch."""
        self._sender.add(planned.label, [row])

    def on_end(self, outcome: RunResult) -> None:
        """Ends a run; one that has ended in an earlier start is sent whole, unless it was sent then."""
        planned, run = outcome.planned, (outcome.planned.label, outcome.planned.spec.hash)
        if planned.label in self._live:
            self._live.discard(planned.label)
        elif run in self._ended or self._sender.has_sent(*run):
            return
        else:
            self._begin(planned, self._store.folder(planned.spec.hash).progress())
        self._ended.add(run)
        self._sender.end(planned.label, outcome.state)

    def close(self) -> None:
        """Waits until all is sent, for a minute at most."""
        self._sender.close()

    def _begin(self, planned: PlannedRun, rows: Sequence[Row]) -> None:
        self._sender.begin(TrackedRun.of(planned, self._study, phantom=self._phantom))
        self._sender.add(planned.label, rows)


class Sender:
    """A thread that carries out, one after the other, what is to be sent. Its first error is its last: the
    rest is left for the next start, and a warning says so.

    Args:
        destination: the tracker; used in the thread alone.
        sent: what was sent in earlier starts.
    """

    def __init__(self, destination: Destination, sent: SentRuns) -> None:
        self._destination, self._sent = destination, sent
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._runs: dict[str, tuple[TrackedRun, str]] = {}
        """By label, the runs that have begun and not ended, with their ids; used in the thread alone."""
        self._is_over = False
        """Whether the sweep waits no longer: what is written from then on would not be closed to others."""
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def has_sent(self, label: str, run_hash: str) -> bool:
        """Whether an earlier start has sent a run whole."""
        return self._sent.has(label, run_hash)

    def begin(self, run: TrackedRun) -> None:
        """Has a run begun."""

        def work() -> None:
            run_id = self._destination.begin(run, self._sent.unfinished(run.label, run.run_hash))
            self._runs[run.label] = (run, run_id)
            self._sent.add(run, run_id, "")

        self._put(work)

    def add(self, label: str, rows: Sequence[Row]) -> None:
        """Has epochs added to a run that was begun."""

        def work() -> None:
            self._destination.add(self._runs[label][1], rows)

        if rows:
            self._put(work)

    def end(self, label: str, state: str) -> None:
        """Has a run ended."""

        def work() -> None:
            run, run_id = self._runs.pop(label)
            self._destination.end(run_id, state)
            self._sent.add(run, run_id, state)

        self._put(work)

    def close(self) -> None:
        """Waits for what is left to be sent."""
        self._queue.put(None)
        self._thread.join(SECONDS_TO_FINISH)
        if self._thread.is_alive():
            self._is_over = True
            logger.warning(
                f"{self._destination.place} takes long: some runs are not there yet; the same command sends "
                "them"
            )

    def _put(self, work: Callable[[], None]) -> None:
        if self._thread.is_alive():  # else nobody would ever take it out
            self._queue.put(work)

    def _work(self) -> None:
        try:
            self._destination.open()
            while (work := self._queue.get()) is not None:
                if self._is_over:
                    return
                work()
            self._destination.close()
        except Exception as error:  # of another's library, which is not to end a study
            logger.warning(
                f"{self._destination.place} does not take the runs ({_reason(error)}): the study goes on "
                "without it, and the same command sends what is lacking"
            )


def _reason(error: Exception) -> str:
    """The first line of an error, without the login that an address in it may hold."""
    first = str(error).strip().partition("\n")[0] or type(error).__name__
    return textwrap.shorten(re.sub(r"//[^/\s]*@", "//", first), REASON_LENGTH, placeholder=" ...")


class SentRuns:
    """The record of what was sent to one tracker.

    Args:
        path: the record's file; it may hold lines about other trackers.
        destination: the tracker; where its files are gone, nothing counts as sent.
    """

    def __init__(self, path: Path, destination: Destination) -> None:
        self._path, self._place = path, destination.place
        self._known: dict[tuple[str, str], tuple[str, str]] = {}
        """By label and hash, the id there and the state at its end, which is empty before."""
        text = path.read_text() if path.is_file() else ""
        for line in [] if destination.is_empty else text.splitlines():
            self._take(line)
        # A kill may have cut the last line off.
        self._begins_with = "" if text.endswith("\n") or not text else "\n"

    def has(self, label: str, run_hash: str) -> bool:
        """Whether a run was sent whole."""
        return bool(self._known.get((label, run_hash), ("", ""))[1])

    def unfinished(self, label: str, run_hash: str) -> str:
        """The id of a run that was begun in an earlier start and did not end; or empty."""
        run_id, state = self._known.get((label, run_hash), ("", ""))
        return "" if state else run_id

    def add(self, run: TrackedRun, run_id: str, state: str) -> None:
        """Notes that a run has begun, with an empty state, or has ended."""
        self._known[run.label, run.run_hash] = (run_id, state)
        line = {"to": self._place, "label": run.label, "run_hash": run.run_hash, "id": run_id, "state": state}
        with open(self._path, "a") as file:
            file.write(self._begins_with + json.dumps(line) + "\n")
        self._begins_with = ""

    def _take(self, line: str) -> None:
        try:
            said: Mapping[str, str] = json.loads(line)
        except ValueError:
            return  # cut off by a kill: the run is sent once more
        if said["to"] == self._place:
            self._known[said["label"], said["run_hash"]] = (said["id"], said["state"])
