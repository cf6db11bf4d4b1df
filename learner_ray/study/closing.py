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


def closing_record(
    runner: StudyRunner, by: str, plan: Plan, left: Plan, study: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What ``study.json`` records of it.

    Args:
        runner: of the study until then.
        by: the options that closed the searches.
        plan: of the study until then.
        left: what is left of it, by :func:`closed_plan`.
        study: the content of its ``study.json``, which may have been closed before.
    """
    before = (study or {}).get("closed") or {}
    unused = [
        outcome
        for outcome in runner.outcomes
        if outcome.planned.role == "trial" and outcome.planned.number >= left.size.trials
    ]
    seconds = sum(outcome.device_seconds for outcome in unused)
    return {
        "by": by,
        "planned_trials": before.get("planned_trials", plan.size.trials),
        "unused_trials": before.get("unused_trials", 0) + len(unused),
        "unused_device_seconds": round(unused_device_seconds(study) + seconds, 1),
    }


def unused_device_seconds(study: Mapping[str, Any] | None) -> float:
    """The device time of trials that do not count since searches were closed, in seconds.

    Args:
        study: the content of its ``study.json``; None where it has not begun.
    """
    return float(((study or {}).get("closed") or {}).get("unused_device_seconds", 0.0))


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
