"""How large a study is: folds, repeats, seeds and trials, by profile."""

from __future__ import annotations

from dataclasses import dataclass

from learner_ray.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a study, equal for every arm."""

    folds: int
    repeats: int
    seeds: int
    """Final runs per group."""
    trials: int
    """Trials per group; 0 runs the base configuration without a search."""
    audits: int = 0
    """Runs of each group's chosen trial under other seeds, for the overtuning audit."""

    def __post_init__(self) -> None:
        for name, least in (("folds", 2), ("repeats", 1), ("seeds", 1), ("trials", 0), ("audits", 0)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} must be at least {least}, not {getattr(self, name)}")


PROFILES = {
    "laptop": Size(folds=3, repeats=1, seeds=1, trials=3),
    "workstation": Size(folds=5, repeats=1, seeds=3, trials=16, audits=1),
    "paper": Size(folds=5, repeats=3, seeds=3, trials=48, audits=1),
}
