"""Progress a person can leave on a screen."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from learner_ray.core.durations import duration
from learner_ray.core.withheld import sayable
from learner_ray.run.states import ENDED_BADLY
from learner_ray.study.callback import Callback
from learner_ray.study.planned_run import PlannedRun, RunResult
from learner_ray.training.selection_metrics import selection_metric

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_SUMMARIES = 600.0


class Progress(Callback):
    """Prints a line for every run that ends, and now and then one for every arm.

    Args:
        runs: how many each arm has.
    """

    def __init__(self, runs: Mapping[str, int]) -> None:
        self._runs = dict(runs)
        self._total = sum(runs.values())
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._running: dict[str, str] = {}
        """Arms by run."""
        self._done_now = 0
        self._device_seconds = 0.0
        self._begun = self._summarised_at = time.monotonic()
        self._best: dict[str, float] = {}
        self._best_shown: dict[str, str] = {}
        """By arm, the best selection score as its metric."""

    def on_start(self, planned: PlannedRun) -> None:
        """Counts a run as running."""
        self._running[planned.label] = planned.arm

    def on_row(self, planned: PlannedRun, row: dict[str, Any]) -> None:
        """Shows the note of an epoch, if it has one; TensorBoard shows the rest."""
        if row.get("note"):
            logger.info(f"{planned.label}: {row['note']}")

    def on_end(self, outcome: RunResult) -> None:
        """Shows a line for a run that has ended, and now and then a summary."""
        arm = outcome.planned.arm
        self._done[arm] += 1
        self._failed[arm] += outcome.state in ENDED_BADLY
        self._device_seconds += outcome.device_seconds
        if math.isfinite(outcome.selection_score):
            self._best[arm] = max(self._best.get(arm, -math.inf), outcome.selection_score)
            self._best_shown[arm] = _judged(outcome, self._best[arm])
        if self._running.pop(outcome.planned.label, None) is None:
            return  # of an earlier start
        self._done_now += 1
        self._show(outcome)

    def _show(self, outcome: RunResult) -> None:
        self._say(outcome)
        if time.monotonic() - self._summarised_at > SECONDS_BETWEEN_SUMMARIES:
            self._summarised_at = time.monotonic()
            logger.info(self.summary(outcome))

    def _say(self, outcome: RunResult) -> None:
        logger.info(self._line(outcome, outcome.planned.arm))

    @property
    def left(self) -> str:
        """The time that is left, if runs go on to end as often as since the start; in words."""
        if not self._done_now:
            return "time left not known yet"
        each = (time.monotonic() - self._begun) / self._done_now
        return f"about {duration(each * (self._total - self._done.total()))} left"

    def _line(self, outcome: RunResult, arm: str) -> str:
        done = self._done.total()
        parts = [
            f"{done:{len(str(self._total))}d}/{self._total}",
            f"{outcome.planned.label:32s}",
            f"{outcome.state:8s}",
        ]
        if math.isfinite(outcome.selection_score):
            score = _judged(outcome, outcome.selection_score)
            parts.append(f"{score} (best of {arm}: {self._best_shown[arm].split()[-1]})")
        if outcome.state in ENDED_BADLY:
            parts.append(sayable(outcome.reason))
        parts.append(self.left if done < self._total else "all done")
        return "  ".join(parts)

    def summary(self, outcome: RunResult) -> str:
        """The progress of all arms; a result says in which metric the best is measured."""
        done, running = self._done.total(), Counter(self._running.values())
        lines = []
        for arm, runs in self._runs.items():
            waiting = runs - self._done[arm] - running[arm]
            line = f"  {arm:24s} {self._done[arm]:5d} done {running[arm]:3d} running {waiting:5d} left"
            line += f" {self._failed[arm]:3d} failed"
            lines.append(line + (f"  best {self._best_shown[arm]}" if arm in self._best_shown else ""))
        left = self._device_seconds / done * (self._total - done)
        lines.append(f"  device time: {duration(self._device_seconds)} used, about {duration(left)} left")
        return "\n".join(lines)


def _judged(outcome: RunResult, score: float) -> str:
    """A selection score as the metric that it is made of."""
    return selection_metric(outcome.planned.spec.config.progression.selection_metric).shown(score)
