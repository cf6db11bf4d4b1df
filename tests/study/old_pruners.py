"""How the pruners of commit 3590708 decided, kept as the reference that today's are held to."""

from __future__ import annotations

import math
from typing import Any

from learner_ray.run.progress import selection_score


class OldHalving:
    def __init__(self, *, epochs: int, eta: int = 2, min_epochs: int | None = None) -> None:
        self.eta = eta
        first = min_epochs or max(2, math.ceil(epochs / eta**2))
        self.rungs = [first * eta**k for k in range(32) if first * eta**k < epochs]
        self._values: dict[int, dict[int, float]] = {rung: {} for rung in self.rungs}

    def keeps(self, number: int, row: dict[str, Any]) -> bool:
        reached = self._values.get(row["epoch"])
        if reached is None:
            return True
        value = selection_score(row)
        value = -math.inf if math.isnan(value) else value
        reached[number] = value
        better = sum(other > value for trial, other in reached.items() if trial != number)
        return better < self._places(len(reached))

    def _places(self, reached: int) -> int:
        return reached if reached < self.eta else math.ceil(reached / self.eta)


class OldOneEpoch(OldHalving):
    def __init__(self, *, epochs: int, top: int = 3) -> None:
        super().__init__(epochs=epochs)
        self.top = top
        self.rungs = [1] if epochs > 1 else []
        self._values = {rung: {} for rung in self.rungs}

    def _places(self, reached: int) -> int:
        return self.top
