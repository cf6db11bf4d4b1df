"""What the runs of a study take, as measured while it runs."""

from __future__ import annotations

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun

WHOLE_TRIALS = 3
"""So many trials count as if they had run their whole schedule before any has ended, so that the first that
are stopped early do not decide alone."""


@dataclass
class _Epochs:
    """The epochs of an arm's trials."""

    count: int = 0
    train: float = 0.0
    evaluate: float = 0.0
    devices: int = 1
    """Of a run."""


class Pace:
    """Learns from epochs and ended runs how long the runs of each arm take, in seconds of a clock."""

    def __init__(self) -> None:
        self.device_seconds = 0.0
        """Device time of all epochs."""
        self._arms: defaultdict[str, _Epochs] = defaultdict(_Epochs)
        self._known: dict[str, int] = {}
        """By run hash, the number of its epochs that were taken in."""
        self._ended, self._run_share = 0, 0.0
        self._overheads: list[float] = []

    @property
    def is_known(self) -> bool:
        """Whether any epoch of a trial was measured."""
        return any(epochs.count for epochs in self._arms.values())

    def take_epoch(self, planned: PlannedRun, row: Mapping[str, Any]) -> None:
        """Takes in an epoch of a run, once."""
        if row["epoch"] <= self._known.get(planned.spec.hash, 0):
            return
        self._known[planned.spec.hash] = row["epoch"]
        devices = row.get("devices", 1)
        self.device_seconds += devices * (row["seconds/train"] + row["seconds/evaluate"])
        if planned.role == "trial":
            arm = self._arms[planned.arm]
            arm.count, arm.devices = arm.count + 1, devices
            arm.train += row["seconds/train"]
            arm.evaluate += row["seconds/evaluate"]

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

    def devices(self, group: FoldSearchSpec) -> int:
        """The devices of a run of a group."""
        return self._epochs(group).devices

    def epoch(self, group: FoldSearchSpec) -> float:
        """What an epoch of a trial takes."""
        epochs = self._epochs(group)
        return (epochs.train + epochs.evaluate) / epochs.count if epochs.count else math.nan

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

    def _epochs(self, group: FoldSearchSpec) -> _Epochs:
        """Those of the group's arm; of an arm without any yet, those of all arms."""
        own = self._arms.get(group.arm.name)
        return own if own and own.count else _sum(self._arms.values())


def _sum(arms: Iterable[_Epochs]) -> _Epochs:
    total = _Epochs()
    for arm in arms:
        total.count += arm.count
        total.train += arm.train
        total.evaluate += arm.evaluate
        total.devices = max(total.devices, arm.devices)
    return total
