"""What every metric of the report has: a name, a direction, bounds and a margin of practical equivalence."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np

from analysis.results.endpoints import PROGRESSION


class DirectedMetric(ABC):
    """A metric with the words, signs and limits that tables, figures and sentences take from it."""

    name: ClassVar[str]
    """What ``Study(primary_metric=...)`` and the columns of CSV files call it: letters, digits and _."""
    label: ClassVar[str]
    """What tables and figures call it."""
    endpoint: ClassVar[str] = PROGRESSION
    """What it is a metric of: ``progression``, ``decline`` or ``change``."""
    higher_is_better: ClassVar[bool] = True
    """Whether of two arms the one with the higher value is the better."""
    bounds: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    """The least and the largest value there can be, where intervals end."""
    margin: ClassVar[float | None] = None
    """The largest difference without practical meaning, in the metric's own unit; None says nothing of
    practical equivalence."""

    @property
    def sign(self) -> int:
        """1 where higher is better, -1 where lower is: times a difference it is how much better an arm is."""
        return 1 if self.higher_is_better else -1

    def word(self, difference: float) -> str:
        """Say of an arm minus another what that makes it: ``better``, ``worse`` or ``equal``."""
        gain = self.sign * difference
        return "better" if gain > 0 else "worse" if gain < 0 else "equal"

    def directed(self, verdict: str, difference: float) -> str:
        """A verdict as tables print it: ``supported`` says which way where that is for the worse."""
        worse = verdict == "supported" and self.word(difference) == "worse"
        return "supported: worse" if worse else verdict

    @property
    def heading(self) -> str:
        """The label, with the direction where that is not what a reader expects."""
        return self.label if self.higher_is_better else f"{self.label} (lower is better)"

    @property
    def margin_text(self) -> str:
        """The margin of practical equivalence with its metric: ``±0.02 Macro-F1``; empty without one."""
        return f"±{self.margin:g} {self.label}" if self.margin else ""
