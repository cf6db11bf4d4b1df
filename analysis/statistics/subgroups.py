"""The arms of a study within subgroups of its pairs, and whether their differences vary between these.

All of it is exploratory: which subgroups matter was not declared, and each is smaller than the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.endpoints import CLASSES, PROGRESSION
from analysis.results.study import StudyResults
from analysis.statistics.cap import NOT_SHOWN_TO_VARY, VARIES
from analysis.statistics.confusion_counts import ConfusionCounts, confusion_counts
from analysis.statistics.estimate import Estimate, estimate, with_family_noise
from analysis.statistics.groupings import Grouping, groupings
from analysis.statistics.heterogeneity import Heterogeneity, heterogeneity
from analysis.statistics.influence import influence
from analysis.statistics.measured import difference_row
from analysis.statistics.metrics import ReportMetric
from analysis.statistics.standing import Standing
from analysis.statistics.verdict import ALPHA, holm

FEWEST_PATIENTS = 10
"""With fewer patients a level has no interval and no part in a test; its size is shown."""


@dataclass(frozen=True, kw_only=True)
class Subgroups:
    """The subgroups of one study."""

    groupings: tuple[Grouping, ...]
    """Groupings with two levels or more, that of pairs which lack the value not counted."""
    one_level: tuple[Grouping, ...]
    """Groupings that compare nothing."""
    alike: tuple[tuple[Grouping, Grouping], ...]
    """Groupings that divide the pairs as another one does, such as the device where every site has one of
    its own, each with that other: to test both would ask one question twice."""
    levels: pd.DataFrame
    """One row per grouping, level and arm: ``patients, pairs``, pairs of each class, the metric (``value,
    low, high``) and its difference to the reference (``difference, difference_low, difference_high``), both
    NaN in a level that is too small."""
    without_interval: Mapping[tuple[str, str], str]
    """Why a level is too small for intervals, by grouping and level, where one is."""
    tests: pd.DataFrame
    """One row per grouping and arm of the family: ``levels`` compared, ``f`` with its degrees of freedom
    (``degrees_between, degrees_within``), ``p``, ``p_holm`` over the whole family, ``reading``."""


def study_subgroups(study: StudyResults, primary: ReportMetric, standing: Standing) -> Subgroups:
    """Compare the arms of a study within the subgroups of its pairs, on the primary metric.

    Args:
        study: as ``load`` gives it.
        primary: the metric.
        standing: what stands behind the study's verdicts; of several declared looks each has its part of
            alpha.

    Returns:
        No tests where verdicts are withheld, or the reference did not run.
    """
    ledger = study.compared
    found = groupings(ledger, study.cohort.get("score") or {})
    several, alike = _distinct([g for g in found if len(g.known) > 1])
    present = set(ledger["arm"])
    arms = [arm for arm in study.ordered_arms if arm in present]
    compared = [
        GroupingComparison(ledger, g, arms, study.reference, study.family, primary, study.classes)
        for g in several
    ]
    tests = pd.DataFrame() if study.withheld else pd.concat([pd.DataFrame(), *(c.tests() for c in compared)])
    if len(tests):
        count = len(study.family) * tests["grouping"].nunique()
        p_holm = holm(tests["p"].to_numpy(np.float64), count)
        varies = p_holm <= min(ALPHA, standing.alpha)
        tests = tests.assign(p_holm=p_holm, reading=np.where(varies, VARIES, NOT_SHOWN_TO_VARY))
        tests.loc[~np.isfinite(p_holm), "reading"] = "not tested"
    return Subgroups(
        groupings=tuple(several),
        one_level=tuple(g for g in found if len(g.known) < 2),
        alike=tuple(alike),
        levels=pd.concat([pd.DataFrame(), *(c.levels() for c in compared)], ignore_index=True),
        without_interval={
            (c.grouping.column, level): why for c in compared for level, why in c.small.items()
        },
        tests=tests.reset_index(drop=True),
    )


def _distinct(found: Sequence[Grouping]) -> tuple[list[Grouping], list[tuple[Grouping, Grouping]]]:
    """Part groupings into those that divide the pairs in a way of their own, and those alike to one."""
    own: list[Grouping] = []
    alike = []
    for grouping in found:
        like = next((other for other in own if grouping.divides_like(other)), None)
        if like is None:
            own.append(grouping)
        else:
            alike.append((grouping, like))
    return own, alike


class GroupingComparison:
    """The arms of a study in the levels of one grouping."""

    def __init__(
        self,
        ledger: pd.DataFrame,
        grouping: Grouping,
        arms: Sequence[str],
        reference: str,
        family: Sequence[str],
        metric: ReportMetric,
        classes: Sequence[str] = CLASSES[PROGRESSION],
    ) -> None:
        self.grouping, self._arms, self._metric = grouping, tuple(arms), metric
        self._reference = reference if reference in arms else ""
        self._family = [arm for arm in arms if arm in family and arm != reference]
        rows = ledger[ledger["arm"].isin(arms)].assign(level=grouping.of_row)
        self._sizes = _sizes(rows, classes)
        self.small = {level: why for level in grouping.levels if (why := _too_small(rows, level))}
        """Why a level is too small for intervals, by level, where one is."""
        self.estimable = [level for level in grouping.levels if level not in self.small]
        """Levels that are large enough for intervals."""
        self._rows = rows[rows["level"].isin(self.estimable)]

    @cached_property
    def _confusions(self) -> ConfusionCounts:
        """One entry for each arm in each level: all of the same rounds, patients and folds."""
        named = self._rows.assign(arm=_within(self._rows["arm"], self._rows["level"]))
        return confusion_counts(
            named, tuple(_within(arm, level) for level in self.estimable for arm in self._arms)
        )

    def levels(self) -> pd.DataFrame:
        """One row per level and arm: size, metric and difference to the reference, with intervals."""
        rows = []
        for level in self.grouping.levels:
            differences = self._differences(level) if level in self.estimable else {}
            for arm in self._arms:
                row: dict[str, Any] = {
                    "grouping": self.grouping.column, "level": level, "arm": arm, "metric": self._metric.name,
                    **self._sizes.loc[level],
                }  # fmt: skip
                if level in self.estimable:
                    row |= self._value(level, arm)
                if arm in differences:
                    row |= _prefixed(differences[arm])
                rows.append(row)
        columns = ["value", "low", "high", "difference", "difference_low", "difference_high"]
        table = pd.DataFrame(rows)
        return table.reindex(columns=[*dict.fromkeys([*table, *columns])])

    def tests(self) -> pd.DataFrame:
        """One row per arm of the family: does its difference to the reference vary between the known levels.

        Empty where fewer than two of them are large enough. Where final runs failed the test is made with the
        majority class and with the other arm's predictions in their place, and the larger p stands.
        """
        tested = [level for level in self.estimable if level in self.grouping.known]
        if len(tested) < 2 or not self._reference:
            return pd.DataFrame()
        counted, put_in = (self._heterogeneity(tested, put_in=p) for p in (False, True))
        rows = []
        for arm, *ways in zip(self._family, counted, put_in, strict=True):
            # NaN is no smaller p: what cannot be tested in one way is not tested.
            stands = max(ways, key=lambda way: np.nan_to_num(way.p, nan=2.0))
            row: dict[str, Any] = {"grouping": self.grouping.column, "arm": arm}
            row |= {"metric": self._metric.name}
            row |= {"levels": len(tested), "f": stands.f, "degrees_between": stands.contrasts}
            rows.append(row | {"degrees_within": stands.degrees, "p": stands.p})
        return pd.DataFrame(rows)

    def _value(self, level: str, arm: str) -> dict[str, float]:
        found = estimate(self._confusions, {_within(arm, level): 1.0}, self._metric)
        low, high = (float(end) for end in np.clip(found.interval(), *self._metric.bounds))
        return {"value": found.value, "low": low, "high": high}

    def _differences(self, level: str) -> dict[str, Estimate]:
        """The difference of each arm to the reference; the arms of the family share what they show of
        training noise, as in the main table."""
        if not self._reference:
            return {}
        found = {
            arm: estimate(self._confusions, self._coefficients(arm, level), self._metric)
            for arm in self._arms
            if arm != self._reference
        }
        shared = with_family_noise([found[arm] for arm in self._family])
        return found | dict(zip(self._family, shared, strict=True))

    def _coefficients(self, arm: str, level: str) -> dict[str, float]:
        return {_within(arm, level): 1.0, _within(self._reference, level): -1.0}

    def _heterogeneity(self, levels: Sequence[str], *, put_in: bool) -> list[Heterogeneity]:
        found = [self._of_arm(arm, levels, put_in=put_in) for arm in self._family]
        shared = with_family_noise([each.pooled for each in found])
        return [Heterogeneity(s, each.contrasts) for s, each in zip(shared, found, strict=True)]

    def _of_arm(self, arm: str, levels: Sequence[str], *, put_in: bool) -> Heterogeneity:
        parts = []
        for level in levels:
            coefficients, counts = self._coefficients(arm, level), self._confusions
            if put_in:
                counts = counts.put_in(*coefficients) or counts
            parts.append(influence(counts, coefficients, self._metric))
        return heterogeneity(parts, self._confusions.fold, self._confusions.repeats)


def _within(arm: Any, level: Any) -> Any:
    """Name an arm within a level; columns give a column. No name has a line break."""
    return arm + "\n" + level


def _sizes(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Patients, pairs and classes of each level, indexed by level."""
    pairs = rows.drop_duplicates(["patient", "pair"])
    patients = pairs.drop_duplicates(["level", "patient"])["level"].value_counts()
    sizes = pd.DataFrame({"patients": patients, "pairs": pairs["level"].value_counts()})
    classes = pd.crosstab(pairs["level"], pairs["y_true"]).reindex(columns=range(len(names)), fill_value=0)
    return sizes.join(classes.set_axis(list(names), axis=1))


def _too_small(rows: pd.DataFrame, level: str) -> str:
    """Why a level has no intervals: few patients, or a repeat that tests it in one fold, since what one run
    alone tests cannot be told from the luck of that run. Empty where it has them."""
    own = rows[rows["level"] == level]
    if own["patient"].nunique() < FEWEST_PATIENTS:
        return f"fewer than {FEWEST_PATIENTS} patients"
    folds = own.groupby("repeat")["fold"].nunique()
    return "" if (folds > 1).all() else "tested in one fold"


def _prefixed(found: Estimate) -> dict[str, float]:
    row: Mapping[str, float] = difference_row(found)
    return {"difference": row["difference"], **{f"difference_{end}": row[end] for end in ("low", "high")}}
