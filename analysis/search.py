"""What the search cost, how it went, and how far its promise was from the test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from analysis.analysed import Analysed, ordered_arms
from analysis.cells import cells_of
from analysis.drawing import PALETTE, STYLE, Drawing, canvas
from analysis.failures import failed_trials
from analysis.labels import row_label, run_cautions, run_hashes, with_runs
from analysis.load import Study
from analysis.metrics import METRICS
from analysis.names import file_name
from analysis.proper import pair_scores
from analysis.table import Table, plain_number

GROUP = ["arm", "repeat", "fold"]
STATES = ("complete", "stopped", "failed", "diverged")
_HEADINGS = {"device_hours": "Device-hours", "best": "Best objective (median over folds)"}


def search_summary(analysed: Sequence[Analysed]) -> Table:
    """Trials per arm by how they ended, with device-hours; and every reason of a failure."""
    panels, frames, notes, cautions = [], [], [], []
    for item in analysed:
        study = item.study
        if study.trials.empty:
            continue
        cautions += run_cautions(study)
        data = _summary(study)
        frames.append(with_runs(data.reset_index().assign(study=study.key), study))
        marked = {arm: row_label(study, arm) for arm in study.labels}
        shown = data.drop(columns="run_hashes").astype(object).rename(index=marked)
        shown["device_hours"] = [f"{hours:.2f}" for hours in data["device_hours"]]
        shown["best"] = [plain_number(best) for best in data["best"]]
        shown.columns = [_HEADINGS.get(str(name), str(name).capitalize()) for name in shown.columns]
        panels.append((study.title, shown))
        notes += [f"{study.title}: {line}" for line in failed_trials(study)]
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return Table(
        name="search", title="Search: trials and cost per arm", data=data, panels=panels, notes=notes,
        cautions=cautions,
    )  # fmt: skip


def _summary(study: Study) -> pd.DataFrame:
    trials = study.trials
    states = pd.crosstab(trials["arm"], trials["state"]).reindex(columns=list(STATES), fill_value=0)
    grouped = trials.groupby("arm")
    seconds = (
        grouped["device_seconds"].sum() if "device_seconds" in trials else pd.Series(np.nan, states.index)
    )
    # Of a fold without any objective there is no best, and a median of the others would be one of survivors.
    best = trials.groupby(GROUP)["objective"].max().groupby("arm").agg(lambda b: b.median(skipna=False))
    table = states.assign(
        device_hours=seconds / 3600,
        best=best,
        run_hashes=grouped["run_hash"].agg(lambda hashes: ";".join(map(str, hashes))),
    )
    table.insert(0, "trials", grouped.size())
    return table.reindex([arm for arm in ordered_arms(study) if arm in table.index])


def selected_trials(study: Study) -> pd.DataFrame:
    """The best complete trial of every search, one row per arm, repeat and fold."""
    known = study.trials[study.trials["state"] == "complete"].dropna(subset=["objective"])
    return known.loc[known.groupby(GROUP)["objective"].idxmax()] if len(known) else known


def overtuning(analysed: Sequence[Analysed]) -> Table:
    """The best trial's validation score, the same configuration under another seed, and the test, per arm.

    From the first to the second column is what choosing the best of many trials on few patients promised too
    much (winner's curse); from the second to the third, what inner and outer patients differ in and what more
    training patients give.
    """
    panels, frames, notes, cautions = [], [], [], []
    for item in analysed:
        data, left = _in_all_arms(_optimism(item.study))
        if data.empty:
            continue
        cautions += run_cautions(item.study)
        if left:
            notes.append(f"{item.study.title}: {left} folds are left out, in which some arm has no choice.")
        frames.append(with_runs(data.assign(study=item.study.key), item.study))
        by_arm = data.groupby("arm", sort=False)
        names = {"validation": "Best validation", "again": "Seed anew, validation", "luck": "Luck",
                 "test": "Test, seeds averaged", "optimism": "Optimism"}  # fmt: skip
        means, spread = by_arm[list(names)].mean(), by_arm["optimism"].std()
        arms = [arm for arm in ordered_arms(item.study) if arm in means.index]
        columns = {names[name]: [plain_number(v) for v in means[name].reindex(arms)] for name in names}
        columns["SD over folds"] = [plain_number(v) for v in spread.reindex(arms)]
        shown = pd.DataFrame(columns, index=[row_label(item.study, arm) for arm in arms])
        panels.append((item.study.title, shown))
    data = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    notes += [
        "Scores are what the search maximised (minus the log-loss in nats, or the metric that study.json "
        "names): higher is better. A best trial's validation score is not a result: it is the luckiest of "
        "many. Luck is what it loses under another seed on the same patients, optimism what it loses on the "
        "test patients."
    ]
    title = "What the search promised and what the test gave"
    return Table(
        name="overtuning", title=title, data=data, panels=panels, notes=notes if panels else [],
        cautions=cautions,
    )  # fmt: skip


def _in_all_arms(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The folds that every arm of a table has, so that its rows are of the same patients; how many not."""
    if table.empty:
        return table, 0
    of_fold = table.groupby(["repeat", "fold"])["arm"]
    kept = table[of_fold.transform("nunique") == table["arm"].nunique()]
    return kept, of_fold.ngroups - kept.groupby(["repeat", "fold"]).ngroups


def _optimism(study: Study) -> pd.DataFrame:
    """Per arm, repeat and fold: best validation objective, the same under other seeds, score of the final
    runs, and differences.
    """
    best = selected_trials(study)
    judge = _judge(study)
    if best.empty or study.compared.empty or not judge:
        return pd.DataFrame()
    test = _test_scores(study.compared, judge).groupby(GROUP)["test"].mean().reset_index()
    keys = dict.fromkeys(("repeat", "fold"), np.int64)
    audits = study.audits.astype({**keys, "objective": np.float64}).groupby(GROUP)["objective"].mean()
    table = best[[*GROUP, "run_hash", "objective"]].astype(keys).merge(test, on=GROUP)
    table = table.merge(audits.rename("again").reset_index(), on=GROUP, how="left")
    table = table.rename(columns={"objective": "validation", "run_hash": "run_hashes"})
    return table.assign(
        luck=table["validation"] - table["again"], optimism=table["validation"] - table["test"]
    )


def _judge(study: Study) -> str:
    """The metric that the search maximised, by our name for it; empty where it is not known."""
    progression = (study.info.get("base") or {}).get("progression") or {}
    before = (
        "log_loss" if "log" in str(study.info.get("search_metric", "")) else ""
    )  # studies without a choice
    judge = str(progression.get("judged_by", before))
    judge = "qwk" if judge == "kappa" else judge
    return judge if judge == "log_loss" or judge in METRICS else ""


def _test_scores(ledger: pd.DataFrame, judge: str) -> pd.DataFrame:
    """What the search maximised, on the test pairs of every final run."""
    keys = [*GROUP, "seed"]
    if judge == "log_loss":
        scores = ledger[keys].assign(test=-pair_scores(ledger)["nll"])
        return scores.groupby(keys)["test"].mean().reset_index()
    cells = cells_of(ledger)
    values = np.where(cells.ran, METRICS[judge].function(cells.by_fold), np.nan)
    rows = [
        {"arm": arm, "repeat": repeat, "seed": seed, "fold": fold, "test": value}
        for arm, rounds in zip(cells.arms, values, strict=True)
        for (repeat, seed), folds in zip(cells.rounds, rounds, strict=True)
        for fold, value in zip(sorted(ledger["fold"].unique()), folds, strict=True)
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=[*keys, "test"])


def budget(analysed: Analysed) -> Drawing | None:
    """Best objective so far against trials spent: median over folds, with the middle half."""
    trials = analysed.study.trials
    if trials.empty or trials["objective"].notna().sum() == 0:
        return None
    ordered = trials.sort_values([*GROUP, "trial"])
    best = ordered.assign(best=ordered.groupby(GROUP)["objective"].cummax())
    best["best"] = best.groupby(GROUP)["best"].ffill()
    curves = _quartiles(best.assign(number=best.groupby(GROUP).cumcount() + 1), "number", "best")
    text = (
        "Best validation objective found so far against the number of trials, median over folds with the "
        "middle half shaded; a validation score is not a result."
    )
    y = "best validation objective so far"
    return _curves(analysed, curves, name="budget", title="Budget", x="trials", y=y, text=text)


def learning(analysed: Analysed) -> Drawing | None:
    """Validation objective by epoch of the selected trials: median over folds, with the middle half."""
    study = analysed.study
    rows: list[dict[str, Any]] = []
    for _, trial in selected_trials(study).iterrows():
        path = study.folder.parent / "runs" / str(trial["run_hash"]) / "progress.jsonl"
        rows += [{"arm": trial["arm"], **line} for line in _progress(path)]
    table = pd.DataFrame(rows)
    if table.empty or not {"epoch", "objective"} <= set(table.columns):
        return None
    curves = _quartiles(table.dropna(subset=["objective"]), "epoch", "objective")
    text = (
        "Validation objective by epoch of each fold's selected trial, median over folds with the middle half "
        "shaded."
    )
    y = "validation objective"
    return _curves(analysed, curves, name="learning", title="Learning curves", x="epoch", y=y, text=text)


def _progress(path: Path) -> list[dict[str, float]]:
    """Epoch and objective of a run's epochs, as far as the file can be read: a crash may cut its end off."""
    rows: list[dict[str, float]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            epoch, objective = row.get("epoch", len(rows) + 1), row.get("objective")
            epoch = epoch if isinstance(epoch, int) else float(epoch)
            rows.append({"epoch": epoch, "objective": float(np.nan if objective is None else objective)})
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        pass
    return rows


def _quartiles(table: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    """Median and quartiles of y per arm and x, with the number of folds behind them."""
    grouped = table.groupby(["arm", x], sort=False)[y]
    parts = {"low": grouped.quantile(0.25), "median": grouped.median(), "high": grouped.quantile(0.75)}
    return pd.DataFrame({**parts, "folds": grouped.count()}).reset_index().rename(columns={x: "x"})


def _curves(
    analysed: Analysed, curves: pd.DataFrame, *, name: str, title: str, x: str, y: str, text: str
) -> Drawing:
    study = analysed.study
    with matplotlib.rc_context(STYLE):
        figure = canvas(7, 3.4)
        axis = figure.subplots()
        arms = [arm for arm in ordered_arms(study) if (curves["arm"] == arm).any()]
        for number, arm in enumerate(arms):
            own = curves[curves["arm"] == arm]
            colour, dashes = (
                PALETTE[number % len(PALETTE)],
                ("-", "--", ":", "-.")[number // len(PALETTE) % 4],
            )
            axis.plot(
                own["x"], own["median"], dashes, color=colour, linewidth=1.6, label=row_label(study, arm)
            )
            if len(arms) <= len(PALETTE):
                axis.fill_between(own["x"], own["low"], own["high"], color=colour, alpha=0.15, linewidth=0)
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        figure.legend(loc="outside right upper", fontsize=8)
    hashes = curves["arm"].map(run_hashes(study)) if len(study.compared) else ""
    data = with_runs(curves.assign(run_hashes=hashes), study)
    return Drawing(
        name=file_name(f"{name}-{study.key}"),
        title=f"{title}, {study.title}",
        description=" ".join([text, *run_cautions(study)]),
        figure=figure,
        data=data,
    )
