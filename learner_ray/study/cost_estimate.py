"""What a plan will cost, before it runs."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from learner_ray.study.plan import Plan
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.pruners import PRUNERS


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Seconds that one device takes with one encoder, measured on an arm's base configuration."""

    train_per_scan: float
    """Of one scan in one epoch of pretraining."""
    evaluate_per_scan: float
    """Of one scan that is embedded."""


@dataclass(frozen=True, kw_only=True)
class ArmCost:
    """What one arm will take, over all folds and repeats."""

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
        throughput: by the name of the encoder; one that no arm pretrains costs nothing, as embedding alone
            takes hardly any time.
    """
    costs = []
    for arm in plan.arms:
        groups = [group for group in plan.groups if group.arm is arm]
        costs.append(
            ArmCost(
                arm=arm.name,
                trials=sum(group.trials for group in groups),
                audits=sum(group.audit_runs for group in groups),
                finals=sum(group.seeds for group in groups),
                device_seconds=sum(
                    _group_seconds(plan, group, throughput.get(group.config.encoder.name, NO_TIME))
                    for group in groups
                ),
            )
        )
    return costs


def _group_seconds(plan: Plan, group: FoldSearchSpec, throughput: Throughput) -> float:
    if not group.config.progression.uses_encoder:
        return 0.0
    epochs = group.config.train.epochs if group.config.pretrains else 0
    trial, final = _scans(plan, group, final=False), _scans(plan, group, final=True)
    trial_epoch = (
        trial["pretrain"] * throughput.train_per_scan + trial["embed"] * throughput.evaluate_per_scan
    )
    trial_epochs = expected_epochs(plan.pruner, group.trials, epochs) + group.audit_runs * epochs
    searched = trial_epochs * trial_epoch
    final_run = (
        epochs * final["pretrain"] * throughput.train_per_scan + final["embed"] * throughput.evaluate_per_scan
    )
    return searched + group.seeds * final_run


def _scans(plan: Plan, group: FoldSearchSpec, *, final: bool) -> dict[str, int]:
    """Scans that one run pretrains on, and that it embeds."""
    per_patient = plan.cohort.scans["patient"].value_counts()
    patients = group.patients(final=final)
    embedded = (*patients.classifier, *patients.validation, *patients.test)
    return {
        "pretrain": int(per_patient.reindex(list(patients.pretrain), fill_value=0).sum()),
        "embed": int(per_patient.reindex(list(embedded), fill_value=0).sum()),
    }


@functools.cache
def expected_epochs(pruner: str, trials: int, epochs: int, draws: int = 200) -> float:
    """Epochs that all trials of a group run in the mean, when no trial is better than another by its number.

    A trial is given one random quality that its selection score shows at every epoch: ranks that hold from
    rung to rung, so that stopping spares most."""
    rng, total = np.random.default_rng(0), 0
    for _ in range(draws if epochs else 0):
        stops = PRUNERS[pruner](epochs)
        for number, quality in enumerate(rng.random(trials)):
            epoch = 1
            while stops.keeps(number, {"epoch": epoch, "selection_score": quality}) and epoch < epochs:
                epoch += 1
            total += epoch
    return total / draws
