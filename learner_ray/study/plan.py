"""From a study and a cohort to the searches that will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from learner_ray.cohort import Cohort, Division, Fold, splits_hash
from learner_ray.cohort.division import DRAWN, DivisionAsked
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS
from learner_ray.core.old_names import key_now
from learner_ray.run.spec import Source
from learner_ray.run.user_code import with_code
from learner_ray.study.designs import Winner
from learner_ray.study.planned_run import FoldSearchSpec, SearchSettings
from learner_ray.study.profiles import Size
from learner_ray.study.pruner_choice import PrunerChoice
from learner_ray.study.study import Arm, Study

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DEVELOPMENT = (0, 0)
"""Repeat and fold in which a development study searches."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a study will run, before it runs."""

    study: Study
    profile: str
    size: Size
    base: Config
    """The study's base configuration with the edits of the profile, the cohort and the user."""
    edits: dict[str, Any]
    """The values of the user's ``--set``, by dotted key."""
    arms: tuple[Arm, ...]
    cohort: Cohort
    source: Source
    division: Division
    """The folds, and where they come from."""
    groups: list[FoldSearchSpec]
    settings: SearchSettings
    winner: Winner | None
    """The trials whose settings all arms are fixed at, under ``--fixed-from``."""
    development: bool
    """Whether arms are searched in the first fold alone, and frozen for the others."""
    spaces: dict[str, dict[str, BaseDistribution]]
    """The distribution of every key that an arm searches, by the arm's name."""
    starts: dict[str, dict[str, Any]]
    """The values with which an arm's search begins, by the arm's name: its trial 0."""

    @property
    def folds(self) -> list[Fold]:
        """All folds of all repeats."""
        return self.division.folds

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """The distribution of every key that some arm searches, wide enough for all arms."""
        found: dict[str, BaseDistribution] = {}
        for space in self.spaces.values():
            for key, own in space.items():
                found[key] = _both(found[key], own) if key in found else own
        return found

    @property
    def runs(self) -> int:
        """The number of all runs."""
        return sum(self.runs_per_arm.values())

    @property
    def width(self) -> int:
        """The most runs that can run at a time before the first search ends: trials of every group that
        searches, final runs of every group that does not and follows no other."""
        return sum(
            min(group.trials, group.settings.parallel_trials) if group.trials else group.settings.seeds
            for group in self.groups
            if not group.chosen_by
        )

    @property
    def runs_per_arm(self) -> dict[str, int]:
        """The number of runs of every arm, by its name."""
        runs: dict[str, int] = {}
        for group in self.groups:
            runs[group.arm.name] = runs.get(group.arm.name, 0) + group.runs
        return runs


def make_plan(
    study: Study,
    cohort: Cohort,
    source: Source,
    *,
    profile: str,
    size: Size,
    arms: Sequence[str],
    edits: Mapping[str, Any],
    precision: str,
    seed: int,
    threads: int,
    pruner: PrunerChoice = "halving",
    sampler: str = "tpe",
    winner: Winner | None = None,
    division: DivisionAsked = DRAWN,
    development: bool = False,
    numerics: int = NUMERICS,
) -> Plan:
    """Splits the cohort and lays out one group per arm, repeat and fold.

    Args:
        winner: its settings, fold by fold, come before the arms' edits; nothing is searched.
        division: where the test patients come from; one that the user gives decides the numbers of folds and
            repeats in place of ``size``.
        numerics: what the runs compute, or did where they are found complete.

    Raises:
        UserError: an arm or key is unknown, the cohort cannot be split, or the winner is of other folds.
    """
    edits = {key_now(key): value for key, value in edits.items()}
    if edits.get("train.precision") == "auto":
        edits = {key: value for key, value in edits.items() if key != "train.precision"}
    known_profile = {**study.profiles.get(profile, {}), **cohort_edits(cohort)}
    base = study.base.with_values({**known_profile, "train.precision": precision, **edits})
    chosen = _chosen(study, arms)
    divided = division.divide(cohort, folds=size.folds, repeats=size.repeats, seed=seed)
    size, folds = replace(size, **divided.sizes), divided.folds
    if winner is not None:
        size = replace(size, trials=0)
        _require_same(winner, cohort, folds)
    fixed = {arm.name: frozenset({*cohort_edits(cohort), *edits, *arm.edits}) for arm in chosen}
    searches = {
        arm.name: study.search_of(config_of(arm, base, edits), fixed[arm.name], arm.name)
        for arm in chosen
        if size.trials and not arm.control
    }
    plan = Plan(
        study=study,
        profile=profile,
        size=size,
        base=base,
        edits=edits,
        arms=chosen,
        cohort=cohort,
        source=source,
        division=divided,
        groups=[],
        settings=SearchSettings(
            seed=seed,
            seeds=size.seeds,
            audits=size.audits,
            threads=threads,
            numerics=numerics,
            pruner=pruner,
            sampler=sampler,
            parallel_trials=size.parallel_trials,
        ),
        winner=winner,
        development=development,
        spaces={arm.name: searches[arm.name][0] if arm.name in searches else {} for arm in chosen},
        starts={arm.name: searches[arm.name][1] if arm.name in searches else {} for arm in chosen},
    )
    groups = [_group(plan, arm, fold, fixed[arm.name]) for fold in folds for arm in chosen]
    return replace(plan, groups=groups)


def _both(one: BaseDistribution, other: BaseDistribution) -> BaseDistribution:
    """A distribution that holds what either does."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(one, FloatDistribution) and isinstance(other, FloatDistribution):
        low, high = min(one.low, other.low), max(one.high, other.high)
        return FloatDistribution(low, high, log=one.log and other.log)
    choices = [*getattr(one, "choices", ()), *getattr(other, "choices", ())]
    if not choices or type(one) is not type(other):
        return other
    return CategoricalDistribution(tuple(dict.fromkeys(choices)))


def _group(plan: Plan, arm: Arm, fold: Fold, fixed: frozenset[str]) -> FoldSearchSpec:
    settings = plan.winner.settings[fold.repeat, fold.fold] if plan.winner else {}
    config = config_of(arm, plan.base.with_values(settings), plan.edits)
    _require_depth(config, plan.cohort)
    searched = bool(plan.spaces[arm.name])
    follows = searched and plan.development and (fold.repeat, fold.fold) != DEVELOPMENT
    return FoldSearchSpec(
        arm=arm,
        config=config,
        fixed=fixed,
        fold=fold,
        trials=plan.size.trials if searched and not follows else 0,
        chosen_by=f"{arm.name}/r{DEVELOPMENT[0]}-f{DEVELOPMENT[1]}" if follows else "",
        settings=plan.settings,
        source=with_code(plan.source, config, plan.study.file),
    )


def config_of(arm: Arm, base: Config, edits: Mapping[str, Any]) -> Config:
    """The configuration of an arm: the base with the arm's edits, then the user's, and its own length."""
    config = base.with_values({**arm.edits, **edits})
    if arm.epochs_factor == 1:
        return config
    epochs, stop = config.train.epochs, config.train.stop_epoch
    longer = {"train.epochs": epochs * arm.epochs_factor, "train.stop_epoch": stop * arm.epochs_factor}
    return config.with_values(longer)


def _chosen(study: Study, arms: Sequence[str]) -> tuple[Arm, ...]:
    if len(set(arms)) < len(arms):
        raise UserError(f"--arms names an arm twice: {', '.join(arms)}")
    return tuple(study.arm(name) for name in arms)


def _require_same(winner: Winner, cohort: Cohort, folds: Sequence[Fold]) -> None:
    if winner.cohort_hash != cohort.hash:
        raise UserError(f"{winner.folder} is a study of another cohort than {cohort.name}: give its --data")
    if winner.split_hash != splits_hash(folds):
        raise UserError(
            f"{winner.folder} was divided otherwise: give its --profile, --folds, --repeats and --seed "
            f"({len(winner.settings)} folds in all)"
        )


def _require_depth(config: Config, cohort: Cohort) -> None:
    if config.progression.uses_encoder and config.encoder.volumetric and _stacked(cohort) > 1:
        raise UserError(
            f"encoder.name={config.encoder.name} looks at volumes, but the scans of {cohort.name} are stacks "
            "of single files, between which there is no depth: use an encoder of single frames"
        )


def _stacked(cohort: Cohort) -> int:
    """The files that are stacked into one scan, at most."""
    return int(cohort.scans["files"].map(len).max())


def cohort_edits(cohort: Cohort) -> dict[str, Any]:
    """What a cohort's scans decide: several files stacked into one scan (three planes, say) are no sequence,
    so nothing is shifted between them and each is a frame."""
    stacked = _stacked(cohort)
    return {"encoder.shift_fraction": 0.0, "data.frames": stacked} if stacked > 1 else {}
