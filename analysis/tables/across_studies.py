"""Tables of several studies side by side, never pooled: the same arms elsewhere, or tuned against fixed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from analysis.results.run_columns import with_run_counts
from analysis.statistics.rank_flips import flipped_arms
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import FAILED, contrast_mark, numerics_caution, run_cautions
from analysis.tables.main_table import main_table_data
from analysis.tables.protocol import freeze_cautions
from analysis.tables.table import MISSING, NONE, Table, interval_text, number, panel_of

CANNOT_TELL = "cannot be told"


def across_studies(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table each arm's difference with the reference in every study; None where only one study has tests."""
    shown = [item for item in statistics if len(item.comparison.tests)]
    if len(shown) < 2:
        return None
    data = pd.concat([main_table_data(item) for item in shown], ignore_index=True)
    data = data[~data["control"] & (data["arm"] != data["reference"])]
    rows = []
    for arm, group in data.groupby("arm", sort=False):
        differences = group.set_index("study").reindex([item.study.key for item in shown])
        cells = []
        for item, (_, row) in zip(shown, differences.iterrows(), strict=True):
            verdict = item.primary_metric.directed(str(row["verdict"]), number(row, "difference"))
            text = f"{interval_text(row, 'difference', sign='+')}, {verdict}"
            known = np.isfinite(number(row, "difference"))
            cells.append(text + contrast_mark(item.study, str(arm)) if known else MISSING)
        signs = [item.primary_metric.sign for item in shown]
        rows.append((str(group["label"].iloc[0]), [*cells, _direction(differences, signs)]))
    columns = [*(item.study.title for item in shown), "Direction"]
    panel = panel_of(rows, columns)
    notes = [
        "Studies are compared by eye and never pooled: a direction that agrees in all of them is no test.",
        "Differences are arm minus reference with their 95 % interval, on each study's primary metric: "
        f"{', '.join(f'{item.study.title} {item.primary_metric.heading}' for item in shown)}.",
    ]
    return Table(
        name="across", title="The same arms in every study", data=data, panels=[("", panel)], notes=notes,
        cautions=[
            *numerics_caution([item.study for item in shown]),
            *(caution for item in shown for caution in [*run_cautions(item.study), *freeze_cautions(item)]),
        ],
    )  # fmt: skip


def _direction(rows: pd.DataFrame, signs: Sequence[int]) -> str:
    """Whether an arm is better everywhere, or worse everywhere, also with the other arm's predictions put in
    for runs that failed.

    Args:
        rows: one row per study.
        signs: of each study's primary metric, -1 where lower is better.
    """
    if rows["difference"].isna().any():
        return NONE
    columns = [name for name in ("difference", "difference_put_in") if name in rows]
    found = {*np.sign(rows[columns].mul(np.array(signs), axis=0).stack().dropna())}
    if len(found) > 1:
        return "differs"
    word = {1.0: "better", -1.0: "worse"}.get(found.pop(), "equal")
    return f"{word} in all {len(rows)}"


def tuned_and_fixed(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table arms searched on their own beside the same arms at one fixed configuration, rank changes flagged.

    Needs two studies of one cohort, partition and endpoint: one that searched its arms, one that did not.
    """
    frames, panels, cautions = [], [], []
    whole = [item for item in statistics if len(item.study.ledger) and not item.study.withheld]
    for tuned, fixed in permutations(whole, 2):
        same = all(tuned.study.info.get(k) == fixed.study.info.get(k) for k in ("cohort_hash", "split_hash"))
        same &= tuned.study.endpoint == fixed.study.endpoint
        if not same or not _searched(tuned) or _searched(fixed):
            continue
        both = _ranked(tuned, "tuned").merge(_ranked(fixed, "fixed"), on=["arm", "label"])
        both["flip"] = _flips(tuned, fixed, both)
        frames.append(both.assign(tuned=tuned.study.key, fixed=fixed.study.key))
        cautions += numerics_caution([tuned.study, fixed.study])
        cautions += [*run_cautions(tuned.study), *run_cautions(fixed.study)]
        rows = [(_marked(row), _two_ranks(row)) for _, row in both.iterrows()]
        panel = panel_of(rows, ["Tuned", "Rank", "Fixed", "Rank, fixed", "Rank flip"])
        panels.append((f"{tuned.study.title} against {fixed.study.title}", panel))
    if not panels:
        return None
    data = pd.concat(frames, ignore_index=True)
    notes = [
        "A rank flip is an arm that both studies put in opposite orders with another, by the rule of all "
        "verdicts at 0.05 over the number of pairs of arms; where ranks differ otherwise, whether they flip "
        "cannot be told."
    ]
    return Table(
        name="tuned-fixed", title="Tuned per arm against fixed", data=data, panels=panels, notes=notes,
        cautions=cautions,
    )  # fmt: skip


def _flips(tuned: StudyStatistics, fixed: StudyStatistics, both: pd.DataFrame) -> list[str]:
    """In words, for each arm: with which it has changed places, or that it cannot be told; empty for none."""
    values = [dict(zip(both["arm"], both[f"{side}_value"], strict=True)) for side in ("tuned", "fixed")]
    flipped = flipped_arms(tuned, fixed, both["arm"].tolist(), values)
    said = []
    for _, row in both.iterrows():
        others = [tuned.study.labels[arm] for arm in flipped.get(str(row["arm"]), ())]
        moved = row["tuned_rank"] != row["fixed_rank"]
        said.append(f"flip with {', '.join(others)}" if others else CANNOT_TELL if moved else "")
    return said


def _marked(row: pd.Series[Any]) -> str:
    failed = number(row, "tuned_imputed_runs") + number(row, "fixed_imputed_runs")
    return f"{row['label']} {FAILED}" if failed else str(row["label"])


def _searched(item: StudyStatistics) -> bool:
    """Whether the arms were searched: they have trials, more than one each."""
    trials = item.study.trials
    return len(trials) > 0 and bool(trials.groupby(["arm", "repeat", "fold"]).size().max() > 1)


def _ranked(item: StudyStatistics, side: str) -> pd.DataFrame:
    """The arms' primary metric and their rank by it, 1 being best, in columns that begin with the side."""
    primary, data = item.study.primary_metric, main_table_data(item)
    kept = data[~data["control"]].dropna(subset=[f"{primary}_value"])
    names = {f"{primary}_{part}": f"{side}_{part}" for part in ("value", "low", "high")}
    kept = with_run_counts(kept[["arm", "label", *names, "run_hashes"]], item.study, f"{side}_")
    kept = kept.rename(columns={**names, "run_hashes": f"{side}_run_hashes"})
    falls = not item.primary_metric.higher_is_better
    return kept.assign(
        **{f"{side}_rank": kept[f"{side}_value"].rank(ascending=falls, method="min").astype(int)}
    )


def _two_ranks(row: pd.Series[Any]) -> list[str]:
    sides = [[interval_text(row, f"{s}_value", f"{s}_"), str(row[f"{s}_rank"])] for s in ("tuned", "fixed")]
    return [*sides[0], *sides[1], str(row["flip"])]
