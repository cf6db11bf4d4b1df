"""Which hyperparameters the search's objective hangs on: exploratory, and refused where trials are few."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
import pandas as pd

from analysis.analysed import ordered_arms
from analysis.drawing import PALETTE, STYLE, Drawing, canvas
from analysis.load import Study
from analysis.names import file_name

if TYPE_CHECKING:
    import optuna

FEWEST_TRIALS = 50
"""Complete trials of an arm below which nothing is ranked: PED-ANOVA put noise above the true effect at
30-60.
"""
RESAMPLES = 8
TREES = 32
MOST_LEVELS = 8
"""A parameter with at most this many values is taken as a choice among them."""


def complete_trials(study: Study, arm: str) -> pd.DataFrame:
    """An arm's complete trials of all folds; each fold's objective is centred on its median."""
    trials = study.trials
    own = trials[(trials["arm"] == arm) & (trials["state"] == "complete")].dropna(subset=["objective"])
    centre = own.groupby(["repeat", "fold"])["objective"].transform("median")
    return own.assign(objective=own["objective"] - centre)


def parameter_importance(trials: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """fANOVA (Hutter et al. 2014) beside PED-ANOVA (Watanabe et al. 2023) with bars from resampled trials.

    Args:
        trials: complete trials with columns ``config.*`` and objective.

    Returns:
        One row per parameter and method: value, low, high (middle 90 % of resamples). Empty where trials or
        parameters are too few.
    """
    names = [c for c in trials.columns if c.startswith("config.") and trials[c].nunique() > 1]
    names = [c for c in names if trials[c].notna().all()]
    if len(trials) < FEWEST_TRIALS or len(names) < 2:
        return pd.DataFrame()
    # Optuna takes a second to import, and only this figure needs it.
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

    rng = np.random.default_rng(seed)
    drawn = [trials, *(trials.sample(len(trials), replace=True, random_state=rng) for _ in range(RESAMPLES))]
    methods = {
        "fANOVA": FanovaImportanceEvaluator(n_trees=TREES, seed=seed),
        "PED-ANOVA": PedAnovaImportanceEvaluator(),
    }
    distributions = {name: _distribution(trials[name]) for name in names}
    studies = [_optuna_study(sample, distributions) for sample in drawn]
    rows = []
    for method, evaluator in methods.items():
        shares = pd.DataFrame([_shares(evaluator.evaluate, study) for study in studies])
        for name in names:
            low, high = shares[name].iloc[1:].quantile([0.05, 0.95])
            value = float(shares[name].iloc[0])
            rows.append({"parameter": name.removeprefix("config."), "method": method, "value": value,
                         "low": float(low), "high": float(high)})  # fmt: skip
    return pd.DataFrame(rows)


def _shares(evaluate: Callable[[optuna.Study], dict[str, float]], study: optuna.Study) -> dict[str, float]:
    """Importances that sum to one, as both methods mean them."""
    found = evaluate(study)
    total = sum(found.values())
    return {name: value / total if total > 0 else 0.0 for name, value in found.items()}


def _distribution(values: pd.Series) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    levels = sorted(values.unique().tolist(), key=str)
    if len(levels) <= MOST_LEVELS or not pd.api.types.is_numeric_dtype(values):
        return CategoricalDistribution(levels)
    low, high = float(values.min()), float(values.max())
    return FloatDistribution(low, high, log=low > 0 and high / low >= 10)


def _optuna_study(
    trials: pd.DataFrame, distributions: dict[str, optuna.distributions.BaseDistribution]
) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    columns = [trials[name].tolist() for name in distributions]
    study.add_trials(
        optuna.trial.create_trial(
            params=dict(zip(distributions, values, strict=True)), distributions=distributions, value=objective
        )
        for *values, objective in zip(*columns, trials["objective"].tolist(), strict=True)
    )
    return study


def importance(study: Study) -> Drawing | None:
    """Bars of both methods for every arm with enough complete trials; nothing where no arm has."""
    if study.trials.empty:
        return None
    frames, arms = [], ordered_arms(study)
    for number, arm in enumerate(arms, start=1):
        own = complete_trials(study, arm)
        print(f"importance: arm {number} / {len(arms)}, {len(own)} complete trials", file=sys.stderr)
        found = parameter_importance(own)
        if len(found):
            frames.append(
                found.assign(arm=arm, trials=len(own), run_hashes=";".join(own["run_hash"].map(str)))
            )
    if not frames:
        return None
    with matplotlib.rc_context(STYLE):
        figure = canvas(7.5, sum(0.3 * len(f) / 2 + 0.7 for f in frames) + 0.6)
        axes = figure.subplots(len(frames), 1, squeeze=False, sharex=True)[:, 0]
        for axis, frame in zip(axes, frames, strict=True):
            order = frame[frame["method"] == "fANOVA"].sort_values("value")["parameter"].tolist()
            for number, (method, own) in enumerate(frame.groupby("method")):
                y = np.array([order.index(p) for p in own["parameter"]]) + 0.18 * (1 - 2 * number)
                axis.barh(y, own["value"], height=0.34, color=PALETTE[number], label=str(method))
                axis.hlines(y, own["low"], own["high"], color=PALETTE[number + 2], linewidth=2)
            axis.set_yticks(range(len(order)), order)
            arm, trials = frame["arm"].iloc[0], frame["trials"].iloc[0]
            axis.set_title(f"{study.labels.get(arm, arm)} ({trials} complete trials)", fontsize=9, loc="left")
        axes[-1].set_xlabel("share of importance; line: middle 90 % over resampled trials")
        axes[0].legend(fontsize=8)
    return Drawing(
        name=file_name(f"importance-{study.key}"),
        title=f"Importance of hyperparameters (exploratory), {study.title}",
        description="fANOVA beside PED-ANOVA on the complete trials of all folds, each fold centred on its "
        "median. Trials of an adaptive sampler crowd around good values, which biases both.",
        figure=figure,
        data=pd.concat(frames, ignore_index=True),
    )
