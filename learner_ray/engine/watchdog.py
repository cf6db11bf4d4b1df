"""Ends trials that have stopped reporting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ray import tune

from learner_ray.engine.ray_private import end_process

Clock = Callable[[], float]


class Watchdog(tune.Callback):  # type: ignore[misc]
    """Kills the process of a trial that has reported nothing for too long.

    It is then treated as an actor that died. A slow epoch differs from a hung one by its length alone,
    so the limit must be generous.

    Args:
        limit_s: longest silence of a running trial, the start of its process included.
    """

    def __init__(self, limit_s: float, clock: Clock = time.monotonic) -> None:
        self.limit_s = limit_s
        self._ended: set[str] = set()
        self._clock = clock
        self._heard: dict[str, tuple[Any, float]] = {}

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Looks at all running trials, at every step of Tune's loop."""
        now = self._clock()
        for trial in trials:
            if trial.status != "RUNNING":
                self._heard.pop(trial.trial_id, None)
                continue
            sign = trial.last_result.get("training_iteration")
            before, since = self._heard.setdefault(trial.trial_id, (sign, now))
            if sign != before:
                self._heard[trial.trial_id] = (sign, now)
            elif now - since > self.limit_s:
                self._ended.add(trial.trial_id)
                self._heard[trial.trial_id] = (sign, now)
                end_process(trial)

    def reason(self, trial_id: str) -> str | None:
        """The reason why a trial was ended, if it was for silence."""
        return f"hung: no epoch within {self.limit_s:.0f} s" if trial_id in self._ended else None
