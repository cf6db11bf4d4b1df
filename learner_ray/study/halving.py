"""Successive halving within one group of trials, on our own epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from learner_ray.run.progress import selection_score


class Halving:
    """Stops a trial that is not among the best 1/eta of its group at a rung.

    Rungs lie at ``min_epochs * eta**k`` below the end of the schedule. A trial is compared with those that
    reached the rung before it, so the order in which trials reach it decides; a group that runs one trial at
    a time therefore always decides alike. Source: Li 2020, arXiv 1810.05934.
    """

    def __init__(self, *, epochs: int, eta: int = 2, min_epochs: int | None = None) -> None:
        self.eta = eta
        first = min_epochs or max(2, math.ceil(epochs / eta**2))
        self.rungs = [first * eta**k for k in range(32) if first * eta**k < epochs]
        self._values: dict[int, dict[int, float]] = {rung: {} for rung in self.rungs}

    def keeps(self, number: int, row: Mapping[str, Any]) -> bool:
        """Whether the trial of this number may go on after an epoch (its progress row)."""
        reached = self._values.get(row["epoch"])
        if reached is None:
            return True
        value = _comparable(row)
        reached[number] = value
        better = sum(other > value for trial, other in reached.items() if trial != number)
        return better < self._places(len(reached))

    def _places(self, reached: int) -> int:
        """How many of those that reached a rung may go on."""
        return reached if reached < self.eta else math.ceil(reached / self.eta)

    def replay(self, number: int, progress: Sequence[Mapping[str, Any]]) -> None:
        """Takes in a trial that has ended, so that later ones are compared with it."""
        for row in progress:
            if row["epoch"] in self._values and "selection_score" in row:
                self._values[row["epoch"]][number] = _comparable(row)


def _comparable(row: Mapping[str, Any]) -> float:
    """The selection score, one that is no number being worse than any other."""
    value = selection_score(row)
    return -math.inf if math.isnan(value) else value
