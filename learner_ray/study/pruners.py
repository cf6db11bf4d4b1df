"""Who stops trials before their schedule ends, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from learner_ray.study.halving import Halving


class Pruner(Protocol):
    """Sees the progress of one group's trials, one trial after the other. It keeps no files: a resumed study
    replays the trials that have ended."""

    def keeps(self, number: int, row: Mapping[str, Any]) -> bool:
        """Whether the trial of this number may go on after an epoch (its progress row)."""

    def replay(self, number: int, progress: Sequence[Mapping[str, Any]]) -> None:
        """Takes in a trial that has ended."""


class NoStopping:
    """Lets every trial run its whole schedule."""

    def keeps(self, number: int, row: Mapping[str, Any]) -> bool:
        return True

    def replay(self, number: int, progress: Sequence[Mapping[str, Any]]) -> None:
        """Nothing to remember."""


class OneEpoch(Halving):
    """Lets a trial go on after its first epoch if it is among the best ``top`` of its group so far.

    Trials come one after the other and none is taken up again, so more than ``top`` run their whole
    schedule: about ``top * (1 + log(n / top))`` of n. Source: Egele 2024, arXiv 2404.04111, whose trials all
    wait after one epoch.
    """

    def __init__(self, *, epochs: int, top: int = 3) -> None:
        super().__init__(epochs=epochs)
        self.top = top
        self.rungs = [1] if epochs > 1 else []
        self._values = {rung: {} for rung in self.rungs}

    def _places(self, reached: int) -> int:
        return self.top


PRUNERS: dict[str, Callable[[int], Pruner]] = {
    "halving": lambda epochs: Halving(epochs=epochs),
    "none": lambda epochs: NoStopping(),
    "one-epoch": lambda epochs: OneEpoch(epochs=epochs),
}
"""Makes a group's pruner from the epochs of its schedule."""
