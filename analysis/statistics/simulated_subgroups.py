"""Simulated studies with subgroups: how often the test of heterogeneity is wrong, and how often it finds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.statistics.groupings import Grouping
from analysis.statistics.metrics import METRICS, ReportMetric
from analysis.statistics.simulated_levels import Levels
from analysis.statistics.simulated_studies import NO_EFFECT, REFERENCE, Arms, Design, simulated_ledger
from analysis.statistics.subgroups import GroupingComparison


def simulated_subgroups(
    design: Design,
    studies: int,
    levels: Levels,
    arms: Arms = NO_EFFECT,
    *,
    seed: int = 0,
    metric: ReportMetric = METRICS["macro_f1"],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate many studies with subgroups and compare the arms within these like those of a real study.

    Args:
        design: the size of every study.
        studies: how many to simulate.
        levels: the subgroups.
        arms: what is compared.
        seed: of the simulation.
        metric: the primary one.

    Returns:
        The differences, one row per study, level and arm but the reference, and the tests, one row per study
        and arm, both with the study's number in ``simulated``. A study whose levels are too small has none.
    """
    differences, tests = [], []
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(studies)):
        ledger = simulated_ledger(np.random.default_rng(child), design, arms, levels=levels)
        found = GroupingComparison(
            ledger.assign(pair=ledger.groupby(["arm", "repeat", "seed"]).cumcount()),
            grouping_of(ledger),
            (REFERENCE, *arms.family),
            REFERENCE,
            arms.family,
            metric,
        )
        rows = found.levels()
        differences.append(rows[rows["arm"] != REFERENCE].assign(simulated=number))
        tests.append(found.tests().assign(simulated=number))
    return pd.concat(differences, ignore_index=True), pd.concat(tests, ignore_index=True)


def grouping_of(ledger: pd.DataFrame) -> Grouping:
    """Return the grouping that the column ``level`` of a simulated ledger holds."""
    of_row = ledger["level"].map(str)
    return Grouping(column="level", label="Level", levels=tuple(sorted(of_row.unique())), of_row=of_row)
