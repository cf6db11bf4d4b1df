"""The interface of what follows a running study: progress, curves and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from learner_ray.study.planned_run import PlannedRun, RunResult

if TYPE_CHECKING:
    from learner_ray.study.runner import StudyRunner


class Callback:
    """Is informed of what happens in a study. Each method does nothing unless a subclass overrides it."""

    def on_begin(self, runner: StudyRunner) -> None:
        """The study's runner was made; no run has been handed out yet."""

    def on_slots(self, slots: int) -> None:
        """The engine has found out how many runs can go at a time."""

    def on_start(self, planned: PlannedRun) -> None:
        """A run was handed out."""

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """A running run finished an epoch, whose progress row is given."""

    def on_end(self, outcome: RunResult) -> None:
        """A run ended, now or in an earlier start of the study."""


class Limit(Callback):
    """Ends a study before all its runs have ended. Without a subclass that says so there is no end."""

    devices: int = 1
    """Runs at a time, as the engine sets it."""
    closes_at: int | None = None
    """The number of trials at which all searches are to be closed; None while none is needed."""

    def on_slots(self, slots: int) -> None:
        self.devices = slots

    @property
    def has_run_out(self) -> bool:
        """Whether nothing more may run."""
        return False

    def allows(self, planned: PlannedRun) -> bool:
        """Whether a run may begin. Where it may not, ``closes_at`` is set."""
        return True
