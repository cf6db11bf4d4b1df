"""What suggests the next trial of a search, by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import product
from typing import TYPE_CHECKING, Any

from learner_ray.core.errors import UserError
from learner_ray.core.old_names import key_then
from learner_ray.core.seeding import random_key
from learner_ray.study.lag import trials_before

if TYPE_CHECKING:  # loaded where used: the command's parser asks this file for the samplers' names alone
    import optuna
    from optuna.distributions import BaseDistribution

LEVELS = 3
"""How many values a real number has on a grid, its ends included."""

RANDOM_TRIALS = 10
"""Trials of a search after which the samplers ``tpe`` and ``gp`` stop drawing at random."""
POPULATION = 8
"""Population of ``nsga-ii``: with Optuna's own 50, most studies would be random searches."""

SAMPLERS = ("tpe", "gp", "cma-es", "nsga-ii", "qmc", "random", "grid")
"""Names that ``make_sampler`` knows."""


def trials_known(name: str, trial: int, lag: int) -> int:
    """How many trials, from the first on, a sampler knows the outcome of when it suggests one.

    Those between them and the trial count as running. Optuna's samplers make of running trials what follows:
    ``tpe`` takes them for bad ones (the constant liar), ``gp`` for ones whose outcome its model imagines,
    ``cma-es`` and ``nsga-ii`` leave them out, and what the others suggest depends on no trial.

    Args:
        name: one of ``SAMPLERS``.
        trial: the trial's number.
        lag: it may go by the trials with numbers up to ``trial - lag``; 1 is one trial after the other.
    """
    lagged = trials_before(trial, lag)
    if lag == 1:
        return lagged
    if name in ("random", "grid") or (name in ("tpe", "gp") and lagged < RANDOM_TRIALS):
        return 0
    return min(1, trial) if name == "qmc" else lagged  # qmc takes the ranges from the first trial


def make_sampler(name: str, group: int, trial: int, *, parallel: bool = False) -> optuna.samplers.BaseSampler:
    """The sampler of one trial.

    It is made anew for every trial, so it may remember nothing: all it goes by is the Optuna study. On a grid
    the points are handed to that study, see :func:`grid_points`; when all have been tried the search goes on
    at random.

    Args:
        name: one of ``SAMPLERS``.
        group: seed that all trials of the search share.
        trial: seed of this trial alone.
        parallel: whether trials may run while it suggests another.

    Raises:
        UserError: it needs a package that is missing.
    """
    import optuna

    if name == "cma-es" and find_spec("cmaes") is None:
        raise UserError("--sampler cma-es needs the package cmaes: pip install cmaes")
    samplers = optuna.samplers
    liar: dict[str, Any] = {"constant_liar": True} if parallel else {}
    makers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(seed=trial, n_startup_trials=RANDOM_TRIALS, **liar),
        "gp": lambda: samplers.GPSampler(seed=trial, n_startup_trials=RANDOM_TRIALS),
        "cma-es": lambda: samplers.CmaEsSampler(seed=trial, warn_independent_sampling=False),
        "nsga-ii": lambda: samplers.NSGAIISampler(seed=trial, population_size=POPULATION),
        "qmc": lambda: samplers.QMCSampler(
            seed=group, scramble=True, warn_independent_sampling=False, warn_asynchronous_seeding=False
        ),
        "random": lambda: samplers.RandomSampler(seed=trial),
        "grid": lambda: samplers.RandomSampler(seed=trial),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return makers[name]()


def sampler_record(name: str) -> dict[str, Any]:
    """What ``study.json`` records of a sampler beside its name: its class in Optuna, and its settings.

    Args:
        name: one of ``SAMPLERS``.
    """
    settings: dict[str, dict[str, Any]] = {
        "tpe": {"random_trials": RANDOM_TRIALS},
        "gp": {"random_trials": RANDOM_TRIALS},
        "nsga-ii": {"population": POPULATION},
        "grid": {"levels": LEVELS},
    }
    return {"class": type(make_sampler(name, 0, 0)).__name__, **settings.get(name, {})}


def grid_points(distributions: Mapping[str, BaseDistribution], seed: int) -> list[dict[str, Any]]:
    """The points of a grid in the random order in which they are tried.

    All options of a choice, and three values of a real number: its ends and the middle, of its logarithm
    where it is searched in that.
    """
    levels = {name: _levels(distribution) for name, distribution in distributions.items()}
    points = [dict(zip(levels, values, strict=True)) for values in product(*levels.values())]
    # By the names of commit 3590708, so that a search that was begun then goes on in the same order.
    points.sort(key=lambda p: random_key(seed, repr(sorted((key_then(key), p[key]) for key in p))))
    return points


def _levels(distribution: BaseDistribution) -> list[Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution)  # Suggest asks for nothing else
    low, high = distribution.low, distribution.high
    steps = [i / (LEVELS - 1) for i in range(LEVELS)]
    if distribution.log:
        return [min(low * (high / low) ** step, high) for step in steps]
    return [low + (high - low) * step for step in steps]
