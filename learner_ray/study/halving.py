"""Successive halving within one search, on our own epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from learner_ray.study.pruners import Pruner, TrialProgress


class Halving(Pruner):
    """Stops a trial that is not among the best 1/eta of its search at a rung.

    Rungs lie at ``min_epochs * eta**k`` below the end of the schedule. A trial is compared with those that
    reached the rung before it. Source: Li 2020, arXiv 1810.05934.
    """

    name = "halving"

    def __init__(self, *, eta: int = 2, min_epochs: int | None = None) -> None:
        """Args:
        eta: one in so many trials goes on at a rung.
        min_epochs: the first rung; by default a quarter of the schedule with ``eta=2``, 2 epochs at least.
        """
        self.eta = eta
        self.min_epochs = min_epochs

    def rungs(self, epochs: int) -> list[int]:
        """The epochs at which a trial is compared with others, of a schedule of so many epochs."""
        first = self.min_epochs or max(2, math.ceil(epochs / self.eta**2))
        return [first * self.eta**k for k in range(32) if first * self.eta**k < epochs]

    def should_prune(self, trial: TrialProgress, earlier: Sequence[TrialProgress], epochs: int) -> bool:
        rung = trial.epoch
        if rung not in self.rungs(epochs):
            return False
        reached = [other.score_at(rung) for other in earlier if rung in other.scores]
        better = sum(score > trial.score for score in reached)
        return better >= self._places(len(reached) + 1)

    def _places(self, reached: int) -> int:
        """How many of those that reached a rung may go on."""
        return reached if reached < self.eta else math.ceil(reached / self.eta)


class OneEpoch(Halving):
    """Lets a trial go on after its first epoch if it is among the best ``top`` of its search so far.

    Trials come one after the other and none is taken up again, so more than ``top`` run their whole
    schedule: about ``top * (1 + log(n / top))`` of n. Source: Egele 2024, arXiv 2404.04111, whose trials all
    wait after one epoch.
    """

    name = "one-epoch"

    def __init__(self, *, top: int = 3) -> None:
        super().__init__()
        self.top = top

    def rungs(self, epochs: int) -> list[int]:
        return [1] if epochs > 1 else []

    def _places(self, reached: int) -> int:
        return self.top
