"""Interval, age, sex and education as inputs of a classifier, with a rule for what is missing.

A missing number is replaced by the median of the training patients, one value per patient, and an indicator
says that it was; where no training patient lacks it there is no indicator, and where none has it no input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from learner_ray.training.classifiers import Array

NUMBERS = ("interval_days", "age", "education_years")


@dataclass(frozen=True)
class CovariateInputs:
    """The inputs of some training pairs, applied to others."""

    medians: Mapping[str, float]
    """What replaces each number where it is missing; a number that no training pair has is absent."""
    indicated: Sequence[str]
    """The numbers that some training pair lacks."""
    sexes: Sequence[str]
    """The sexes of the training pairs; a pair of another, or of none known, has no indicator."""

    @classmethod
    def fit(cls, pairs: pd.DataFrame) -> CovariateInputs:
        """The inputs of training pairs, with the columns of :meth:`Cohort.pairs`."""
        by_patient = pairs.groupby("patient")[list(NUMBERS)].median()
        medians = {name: float(by_patient[name].median()) for name in NUMBERS if pairs[name].notna().any()}
        return cls(
            medians=medians,
            indicated=[name for name in medians if pairs[name].isna().any()],
            sexes=sorted(set(pairs["sex"]) - {""}),
        )

    def __call__(self, pairs: pd.DataFrame) -> list[Array]:
        """The inputs of N pairs as blocks (N, width), one per covariate."""
        blocks = []
        for name, median in self.medians.items():
            columns = [pairs[name].fillna(median)]
            columns += [pairs[name].isna()] if name in self.indicated else []
            blocks.append(np.stack([column.to_numpy(float) for column in columns], axis=1))
        if len(self.sexes) > 1:
            blocks.append(np.stack([(pairs["sex"] == sex).to_numpy(float) for sex in self.sexes], axis=1))
        return blocks

    def state(self) -> dict[str, Any]:
        """The inputs as plain values."""
        return asdict(self)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> CovariateInputs:
        """The inputs that ``state`` described."""
        return cls(**state)
