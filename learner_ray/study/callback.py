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

    def on_start(self, planned: PlannedRun) -> None:
        """A run was handed out."""

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """A running run finished an epoch, whose progress row is given."""

    def on_end(self, outcome: RunResult) -> None:
        """A run ended, now or in an earlier start of the study."""
