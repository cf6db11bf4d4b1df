"""Estimates what a plan will cost, before it runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from learner_ray.core.components import PRUNERS
from learner_ray.run.throughput import Throughput, paced_as
from learner_ray.study.forecast import RunsLeft
from learner_ray.study.lag import trials_before
from learner_ray.study.plan import Plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.pruner_choice import PrunerChoice, SearchPruner, search_pruner
from learner_ray.study.pruners import TrialProgress

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """The runs and the device time of one arm, over all folds and repeats."""

    arm: str
    trials: int
    audits: int
    finals: int
    device_seconds: float


NO_TIME = Throughput(train_per_scan=0, evaluate_per_scan=0)


def estimate_cost(plan: Plan, throughput: Mapping[str, Throughput]) -> list[ArmCost]:
    """Trainings and device time of every arm, in the plan's order.

    Trials are taken to be stopped as often as trials of random rank would be, and final runs to train for the
    whole schedule.

    Args:
        plan: what would run.
        throughput: by :func:`paced_as`, the encoder and its views; an encoder that no arm pretrains costs
            nothing, as embedding alone takes hardly any time.
    """
    left = runs_left(plan, throughput)
    costs = []
    for arm in plan.arms:
        groups = [group for group in plan.groups if group.arm is arm]
        costs.append(
            ArmCost(
                arm=arm.name,
                trials=sum(group.trials for group in groups),
                audits=sum(group.audit_runs for group in groups),
                finals=sum(group.settings.seeds for group in groups),
                device_seconds=sum(left[group.name].seconds for group in groups),
            )
        )
    return costs


def runs_left(plan: Plan, throughput: Mapping[str, Throughput]) -> dict[str, RunsLeft]:
    """All runs of a plan that has not begun, by the name of their group; the arguments are those of
    :func:`estimate_cost`. The trials of a group are taken to be of one length, and so are its audits and
    final runs."""
    left = {}
    for group in plan.groups:
        pace = throughput.get(paced_as(group.config), NO_TIME)
        searched, after = _group_seconds(plan, group, pace)
        repeats = group.audit_runs + group.settings.seeds
        left[group.name] = RunsLeft(
            trials=group.trials,
            trial_seconds=searched / max(1, group.trials),
            repeats=repeats,
            repeat_seconds=after / repeats,
            parallel_trials=plan.settings.parallel_trials,
            chosen_by=group.chosen_by,
        )
    return left


def _group_seconds(plan: Plan, group: FoldSearchSpec, throughput: Throughput) -> tuple[float, float]:
    """The device time of a group's trials, and of its audits and final runs."""
    if not group.config.progression.uses_encoder:
        return 0.0, 0.0
    epochs = group.config.train.epochs if group.config.pretrains else 0
    trial, final = scans_of(plan, group, final=False), scans_of(plan, group, final=True)
    trial_epoch = (
        trial["pretrain"] * throughput.train_per_scan + trial["embed"] * throughput.evaluate_per_scan
    )
    space = tuple(plan.spaces[group.arm.name].items())
    trial_epochs = expected_epochs(plan.settings.pruner, group.trials, epochs, space, lag=plan.settings.lag)
    final_run = (
        epochs * final["pretrain"] * throughput.train_per_scan + final["embed"] * throughput.evaluate_per_scan
    )
    after = group.audit_runs * epochs * trial_epoch + group.settings.seeds * final_run
    return trial_epochs * trial_epoch, after


def scans_of(plan: Plan, group: FoldSearchSpec, *, final: bool) -> dict[str, int]:
    """How many scans one run pretrains on (``pretrain``) and embeds (``embed``)."""
    per_patient = plan.cohort.scans["patient"].value_counts()
    patients = group.patients(final=final)
    embedded = (*patients.classifier, *patients.validation, *patients.test)
    return {
        "pretrain": int(per_patient.reindex(list(patients.pretrain), fill_value=0).sum()),
        "embed": int(per_patient.reindex(list(embedded), fill_value=0).sum()),
    }


DRAWS, DRAWS_SLOW = 200, 20
"""Searches that are simulated under a pruner of the package, and under any other, which may be slow."""


@functools.cache
def expected_epochs(
    pruner: PrunerChoice,
    trials: int,
    epochs: int,
    space: tuple[tuple[str, BaseDistribution], ...] = (),
    draws: int = 0,
    lag: int = 1,
) -> float:
    """The mean number of epochs that all trials of a search run, when no trial is better by its number.

    A trial is given one random quality that its selection score shows at every epoch: ranks that hold from
    rung to rung, so that stopping spares most.

    Args:
        space: the distribution of every searched key, for pruners that look at parameters.
        draws: searches to simulate; 0 is as many as the pruner is quick enough for.
        lag: a trial is compared with those whose numbers are smaller by this or more.
    """
    known = pruner in PRUNERS.built_in if isinstance(pruner, str) else False
    draws = draws or (DRAWS if known else DRAWS_SLOW)
    rng, total = np.random.default_rng(0), 0
    for _ in range(draws if epochs else 0):
        stops = search_pruner(pruner, epochs=epochs, search="r0-f0")
        ended: list[TrialProgress] = []
        for number, quality in enumerate(rng.random(trials)):
            trial = TrialProgress(
                number=number,
                scores={},
                parameters={} if known else _parameters(space, number),
                distributions=dict(space),
            )
            earlier = ended[: trials_before(number, lag)]
            ended.append(_ended(stops, trial, earlier, float(quality), epochs))
            total += ended[-1].epoch
    return total / draws


def _ended(
    pruner: SearchPruner, trial: TrialProgress, earlier: list[TrialProgress], quality: float, epochs: int
) -> TrialProgress:
    """A trial of one quality after it was stopped, or ran its whole schedule."""
    scores: dict[int, float] = {}
    for epoch in range(1, epochs + 1):
        scores[epoch] = quality
        if epoch < epochs and pruner.should_prune(replace(trial, scores=dict(scores)), earlier):
            break
    state = "complete" if len(scores) == epochs else "stopped"
    return replace(trial, scores=scores, state=state, selection_score=quality)


@functools.cache
def _parameters(space: tuple[tuple[str, BaseDistribution], ...], number: int) -> dict[str, Any]:
    """Random values of a search space, the same for one number."""
    import optuna

    sampler = optuna.samplers.RandomSampler(seed=number)
    return optuna.create_study(sampler=sampler).ask(dict(space)).params
