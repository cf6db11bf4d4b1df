"""Who suggests a group's next configuration, by name."""

from __future__ import annotations

from collections.abc import Callable

import optuna

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
"""Makes the sampler of one trial from a seed. It is made anew for every trial, so it may remember nothing:
all it goes by is the Optuna study."""
