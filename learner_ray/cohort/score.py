"""The score of a visit, and how a change of it becomes worse, same or better."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learner_ray.core.errors import UserError

CLASSES = ("worse", "same", "better")
"""Names of the progression classes 0, 1 and 2."""
DECLINE_CLASSES = ("worse", "not worse")
"""Names of the classes 0 and 1 where the endpoint is decline."""

Healthier = Literal["higher", "lower"]

_ROUNDING = 1e-9
"""Share of the score's range by which a change may miss the threshold, so that 0.3 - 0.1 is a change of
0.2."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A health score: its unit and range, which way is healthier, and the least change that counts.

    Raises:
        UserError: the range is empty, the threshold is not positive or the direction unknown.
    """

    name: str
    """Name, such as MMSE."""
    unit: str
    """Unit, such as points; empty for a ratio."""
    low: float
    """Least possible value."""
    high: float
    """Largest possible value."""
    healthier: Healthier
    """Whether a higher or a lower score is healthier."""
    change_threshold: float
    """Least change, in the score's unit, that counts as worse or better; a smaller one is same."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not isinstance(self.unit, str) or not self.name:
            raise UserError(f"a score's name and unit must be text, not {self.name!r} and {self.unit!r}")
        for key in ("low", "high", "change_threshold"):
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"score {self.name}: {key} must be a number, not {value!r}")
            object.__setattr__(self, key, float(value))
        if self.healthier not in get_args(Healthier):
            raise UserError(f"score {self.name}: healthier must be higher or lower, not {self.healthier!r}")
        if not self.low < self.high:
            raise UserError(f"score {self.name}: low ({self.low:g}) must be below high ({self.high:g})")
        if not 0 < self.change_threshold <= self.high - self.low:
            raise UserError(
                f"score {self.name}: change_threshold must be above 0 and at most the range, "
                f"{self.high - self.low:g}, not {self.change_threshold:g}"
            )

    def change(self, earlier: ArrayLike, later: ArrayLike) -> NDArray[np.float64]:
        """Change from the earlier to the later score, in the score's unit; healthier is positive. Shape (as
        given)."""
        difference = np.subtract(later, earlier, dtype=float)
        return np.asarray(difference if self.healthier == "higher" else -difference)

    def classify(self, change: ArrayLike) -> NDArray[np.int64]:
        """Class of each change (healthier positive): 0 worse, 1 same, 2 better. Shape (as given).

        Raises:
            ValueError: a change is NaN.
        """
        changes = np.asarray(change, dtype=float)
        if np.isnan(changes).any():
            raise ValueError("a change of NaN has no class")
        least = self.change_threshold - _ROUNDING * (self.high - self.low)
        return 1 + (changes >= least).astype(np.int64) - (changes <= -least).astype(np.int64)

    def to_dict(self) -> dict[str, Any]:
        """The score as plain values, as a sidecar states it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Score:
        """A score of plain values, as a manifest's sidecar states it.

        Raises:
            UserError: a key is missing or unknown, or a value is not allowed.
        """
        keys = {f.name for f in dataclasses.fields(cls)}
        if values.keys() != keys:
            wrong = [f"lacks {key}" for key in sorted(keys - values.keys())]
            wrong += [f"has an unknown key {key!r}" for key in sorted(values.keys() - keys)]
            raise UserError(f"score {values.get('name', '')}: {', '.join(wrong)}")
        return cls(**values)


SF_RATIO = Score(name="S/F ratio", unit="", low=40.0, high=477.0, healthier="higher", change_threshold=25.0)
"""SpO2 in per cent over FiO2 as a fraction: 100 % on room air is 476; a value below 40 has another
unit. No minimal important difference is published; 20-30 is a usual "same" band."""

MMSE = Score(name="MMSE", unit="points", low=0.0, high=30.0, healthier="higher", change_threshold=2.0)
"""Mini-Mental State Examination; a change of 1-3 points is called meaningful."""

SEVERITY = Score(name="severity", unit="points", low=0.0, high=3.0, healthier="lower", change_threshold=1.0)
"""Lung-ultrasound severity of one lung point, 0 (normal) to 3 (consolidation)."""

KNOWN = {score.name: score for score in (SF_RATIO, MMSE, SEVERITY)}
"""Scores that a sidecar may call by name."""

DEFAULTS = {"lus": SF_RATIO, "mri": MMSE}
"""The score of a modality where nothing else is stated."""
