"""What the runs of a study take, as measured while it runs."""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict
from dataclasses import dataclass

from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun

WHOLE_TRIALS = 3
"""So many trials count as if they had run their whole schedule before any has ended, so that the first that
are stopped early do not decide alone."""


@dataclass
class _Epochs:
    """Epochs of trials, and the seconds that they took."""

    count: int = 0
    seconds: float = 0.0


class Pace:
    """Learns from epochs and ended runs how long the runs of each arm take, in seconds of a clock.

    Args:
        devices: of each run.
    """

    def __init__(self, devices: int = 1) -> None:
        self.devices = devices
        self.device_seconds = 0.0
        """Device time of all epochs."""
        self._all = _Epochs()
        self._arms: defaultdict[str, _Epochs] = defaultdict(_Epochs)
        self._known: dict[str, int] = {}
        """By run hash, the number of its epochs that were taken in."""
        self._ended, self._run_share = 0, 0.0
        self._overheads: list[float] = []

    @property
    def is_known(self) -> bool:
        """Whether any epoch of a trial was measured."""
        return self._all.count > 0

    def take_epochs(self, planned: PlannedRun, until: int, seconds: float) -> None:
        """Takes in epochs of a run, once.

        Args:
            planned: the run.
            until: the number of the last of them.
            seconds: what each took.
        """
        new = max(0, until - self._known.get(planned.spec.hash, 0))
        self._known[planned.spec.hash] = self._known.get(planned.spec.hash, 0) + new
        self.device_seconds += self.devices * new * seconds
        if planned.role == "trial":
            for epochs in (self._all, self._arms[planned.arm]):
                epochs.count += new
                epochs.seconds += new * seconds

    def take_trial(self, epochs: int, schedule: int) -> None:
        """Takes in that a trial has ended after some of the epochs of its schedule."""
        self._ended += 1
        self._run_share += epochs / schedule

    def take_overhead(self, seconds: float) -> None:
        """Takes in what a run took beside its epochs."""
        insort(self._overheads, max(0.0, seconds))

    @property
    def overhead(self) -> float:
        """What a run takes beside its epochs: the median, since a device's first run starts a process."""
        return self._overheads[len(self._overheads) // 2] if self._overheads else 0.0

    def epoch(self, group: FoldSearchSpec) -> float:
        """What an epoch of a trial takes; in an arm without any yet, what it takes in all arms."""
        own = self._arms.get(group.arm.name)
        epochs = own if own and own.count else self._all
        return epochs.seconds / epochs.count if epochs.count else math.nan

    def trial(self, group: FoldSearchSpec) -> float:
        """What the epochs of a trial take, of which a part is stopped early."""
        share = (self._run_share + WHOLE_TRIALS) / (self._ended + WHOLE_TRIALS)
        return share * group.config.train.epochs * self.epoch(group)

    def repeat(self, group: FoldSearchSpec) -> float:
        """What the epochs of an audit or a final run take at most: the whole schedule, on the patients of a
        final run, evaluated after each epoch."""
        if not group.config.pretrains:
            return self.epoch(group) if group.config.progression.uses_encoder else 0.0
        patients = [len(group.patients(final=final).pretrain) for final in (True, False)]
        return group.config.train.epochs * self.epoch(group) * patients[0] / patients[1]
