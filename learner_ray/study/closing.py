"""Searches that were closed before all their trials: how the study goes on, now and at later starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from learner_ray.study.plan import Plan
from learner_ray.study.profiles import Size
from learner_ray.study.runner import StudyRunner


def closed_plan(plan: Plan, trials: int) -> Plan:
    """A plan with fewer trials of each search."""
    groups = [replace(group, trials=min(group.trials, trials)) for group in plan.groups]
    return replace(plan, size=replace(plan.size, trials=trials), groups=groups)


def closing_record(runner: StudyRunner, by: str, trials: int, planned_trials: int) -> dict[str, Any]:
    """What ``study.json`` records of it.

    Args:
        runner: of the study until then.
        by: the options that closed the searches.
        trials: of each search that count.
        planned_trials: of each search that were asked for.
    """
    unused = [
        outcome
        for outcome in runner.outcomes
        if outcome.planned.role == "trial" and outcome.planned.number >= trials
    ]
    return {
        "by": by,
        "planned_trials": planned_trials,
        "unused_trials": len(unused),
        "unused_device_seconds": round(sum(outcome.device_seconds for outcome in unused), 1),
    }


def size_now(study: Mapping[str, Any] | None, size: Size, *, extend: bool) -> Size:
    """The size of a study that was perhaps closed.

    Args:
        study: the content of its ``study.json``; None where it has not begun.
        size: as asked for. With the trials that were planned when the searches were closed it is the closed
            study that is meant.
        extend: whether the study is to grow: then its searches are opened again.
    """
    closed = (study or {}).get("closed")
    if not study or not closed or extend or size.trials != closed["planned_trials"]:
        return size
    return replace(size, trials=study["trials"])
