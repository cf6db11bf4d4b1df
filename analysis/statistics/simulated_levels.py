"""The subgroups of a simulated study: sites, or intervals that differ between the pairs of a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.metrics import Array


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The levels of one grouping, and what arms do differently in them."""

    shares: tuple[float, ...] = (0.5, 0.5)
    of_pairs: bool = False
    """Whether each pair has a level of its own, as the interval, or all pairs of a patient, as the sex."""
    effects: tuple[float, ...] = ()
    """Added to the logit of the true class in each level, of the arms and not of the reference."""
    run: float = 0.0
    """Standard deviation of the skill of one run in one level: training noise that differs by level."""

    def drawn(
        self, rng: np.random.Generator, patient: NDArray[np.signedinteger]
    ) -> NDArray[np.signedinteger]:
        """Draw the level of every pair, shape (pairs,), from the patient of every pair, shape (pairs,)."""
        count = len(patient) if self.of_pairs else int(patient.max()) + 1
        levels = rng.choice(len(self.shares), count, p=self.shares)
        return levels if self.of_pairs else levels[patient]

    def skill(
        self,
        rng: np.random.Generator,
        fold: NDArray[np.signedinteger],
        level: NDArray[np.signedinteger],
        *,
        is_reference: bool,
    ) -> Array:
        """Draw what one seed's runs, one per fold, add to the logit of the true class, shape (pairs,)."""
        of_run = self.run * rng.normal(size=(int(fold.max()) + 1, len(self.shares)))
        effects = np.zeros(len(self.shares)) if is_reference or not self.effects else np.array(self.effects)
        skill: Array = of_run[fold, level] + effects[level]
        return skill
