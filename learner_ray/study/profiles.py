"""How large a study is: folds, repeats, seeds and trials, by profile."""

from __future__ import annotations

from dataclasses import dataclass

from learner_ray.core.errors import UserError

BOUNDS = {
    "folds": (2, 1000),
    "repeats": (1, 1000),
    "seeds": (1, 1000),
    "trials": (0, 100_000),
    "audits": (0, 1000),
    "parallel_trials": (1, 256),
}
"""Beyond these no plan could be held in memory, let alone run."""


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
    parallel_trials: int = 1
    """Trials of each group that run at a time."""

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            number = getattr(self, name)
            if not least <= number <= most:
                raise UserError(f"--{name.replace('_', '-')} must be {least} to {most}, not {number}")


PROFILES = {
    "laptop": Size(folds=3, repeats=1, seeds=1, trials=3),
    "workstation": Size(folds=5, repeats=1, seeds=3, trials=16, audits=1),
    "paper": Size(folds=5, repeats=3, seeds=3, trials=48, audits=1),
}


def folds_asked(folds: int | None, profile: str | None = None) -> list[int]:
    """The numbers of folds that a study may have: as asked for, or else of the profiles."""
    if folds is not None:
        return [folds]
    return [PROFILES[profile].folds] if profile else [size.folds for size in PROFILES.values()]
