"""The interface of an experiment tracker, as a study uses it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learner_ray.study.planned_run import PlannedRun

Row = Mapping[str, Any]
"""A progress row: the numbers of one epoch, and its number as ``epoch``, from 1 on."""


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """What a tracker is given of a run. It names no patient, no file and no folder."""

    label: str
    """The run's readable name, as in TensorBoard."""
    run_hash: str
    arm: str
    tags: Mapping[str, str]
    """Study, arm, fold, role and hash: what runs are sorted by."""
    parameters: Mapping[str, Any]
    """The values that the search suggested, by dotted key."""

    @classmethod
    def of(cls, planned: PlannedRun, study: str, *, phantom: bool) -> TrackedRun:
        """The description of a planned run of a study."""
        tags = {
            "study": study,
            "arm": planned.arm,
            "fold": planned.group.rpartition("/")[2],
            "role": planned.role,
            "run_hash": planned.spec.hash,
            "phantom": str(phantom).lower(),
        }
        return cls(
            label=planned.label,
            run_hash=planned.spec.hash,
            arm=planned.arm,
            tags=tags,
            parameters=planned.parameters,
        )


class Destination(ABC):
    """A tracker that runs are sent to. Only one thread uses it; each method may raise what it likes."""

    place: str
    """Where the runs go, as a person would type it; no user name and no password."""
    opened_with: str
    """The command that shows runs that stayed on this machine, or sends them; empty where they were sent."""

    @property
    @abstractmethod
    def is_empty(self) -> bool:
        """Whether the tracker's files on this machine are not there, so that nothing that was sent is left;
        False for a server."""

    @abstractmethod
    def open(self) -> None:
        """Makes the first contact."""

    @abstractmethod
    def begin(self, run: TrackedRun, earlier: str) -> str:
        """Begins a run.

        Args:
            run: the run.
            earlier: the tracker's id of the same run begun in an earlier start that did not end; or empty.

        Returns:
            The tracker's id of the run.
        """

    @abstractmethod
    def add(self, run_id: str, rows: Sequence[Row]) -> None:
        """Adds the numbers of epochs to a run that was begun."""

    @abstractmethod
    def end(self, run_id: str, state: str) -> None:
        """Ends a run as complete, stopped, failed or diverged."""

    @abstractmethod
    def close(self) -> None:
        """Leaves the tracker; runs that have not ended are marked as interrupted."""
