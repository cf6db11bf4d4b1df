"""Progress a person can leave on a screen."""

from __future__ import annotations

import math
import time
from typing import Any

from learner_ray.study.group import Outcome, Task


class Progress:
    """A listener that prints a line for every run that ends."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._done_now = 0
        self._begun = time.monotonic()
        self._started: set[str] = set()
        self._best: dict[str, float] = {}

    def on_start(self, task: Task) -> None:
        self._started.add(task.label)

    def on_row(self, task: Task, row: dict[str, Any]) -> None:
        """Nothing: TensorBoard shows epochs."""

    def on_end(self, outcome: Outcome) -> None:
        self._done += 1
        arm = outcome.task.group.partition("/")[0]
        if math.isfinite(outcome.objective):
            self._best[arm] = max(self._best.get(arm, -math.inf), outcome.objective)
        if outcome.task.label not in self._started:
            return  # of an earlier start
        self._done_now += 1
        print(self._line(outcome, arm), flush=True)

    def _line(self, outcome: Outcome, arm: str) -> str:
        width = len(str(self._total))
        parts = [f"{self._done:{width}d}/{self._total}", f"{outcome.task.label:32s}", f"{outcome.state:8s}"]
        if math.isfinite(outcome.objective):
            judge = outcome.task.spec.config.progression.judged_by
            sign = -1 if judge == "log_loss" else 1
            best = f"best of {arm}: {sign * self._best[arm]:.3f}"
            parts.append(f"{judge.replace('_', ' ')} {sign * outcome.objective:.3f} ({best})")
        if outcome.state in ("failed", "diverged"):
            parts.append(outcome.reason)
        left = (time.monotonic() - self._begun) / self._done_now * (self._total - self._done)
        parts.append(f"about {duration(left)} left" if self._done < self._total else "all done")
        return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
