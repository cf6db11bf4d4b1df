"""Importance of hyperparameters for the selection score: exploratory, and refused where trials are few."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.results.old_names import PARAMETER
from analysis.results.study import StudyResults

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


def complete_trials(study: StudyResults, arm: str) -> pd.DataFrame:
    """An arm's complete trials of all folds, each fold's selection scores centred on their median."""
    trials = study.trials
    own = trials[(trials["arm"] == arm) & (trials["state"] == "complete")].dropna(subset=["selection_score"])
    centre = own.groupby(["repeat", "fold"])["selection_score"].transform("median")
    return own.assign(selection_score=own["selection_score"] - centre)


def parameter_importance(trials: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rank parameters by fANOVA (Hutter et al. 2014) and PED-ANOVA (Watanabe et al. 2023).

    Args:
        trials: complete trials with the columns ``config.*`` and ``selection_score``.
        seed: of the resampling and of fANOVA's trees.

    Returns:
        One row per parameter and method: its share of the importance in ``value``, with ``low`` and ``high``
        (middle 90 % over resampled trials). Empty where trials or parameters are too few.
    """
    names = [c for c in trials.columns if c.startswith(PARAMETER) and trials[c].nunique() > 1]
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
            rows.append({"parameter": name.removeprefix(PARAMETER), "method": method, "value": value,
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
            params=dict(zip(distributions, values, strict=True)), distributions=distributions, value=score
        )
        for *values, score in zip(*columns, trials["selection_score"].tolist(), strict=True)
    )
    return study
