"""A study whose time does not suffice: closed at one number of trials, it is the study with that number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learner_ray.run.spec import RunSpec
from learner_ray.study.budget import Budget
from learner_ray.study.fake_clock import Curve, FakeTime, MemoryStore, Trainer, simulate
from learner_ray.study.forecast import RunsLeft, makespan, most_trials
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.runner import StudyRunner
from tests.study.small_study import curve, groups, in_memory, space, story


def paced(case: int) -> Trainer:
    """Runs whose epochs take longer in one arm than in the other, and vary from run to run."""

    def rows(spec: RunSpec) -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng([case, int(spec.hash[:8], 16)])
        seconds = float(rng.lognormal(0, 0.3)) * (2 if spec.config.loss.name == "contrastive" else 1)
        for row in curve(spec):
            yield {**row, "seconds/train": seconds}

    return lambda spec: Curve(rows=rows(spec))


def closed_at(found: list[FoldSearchSpec], trials: int) -> list[FoldSearchSpec]:
    return [replace(group, trials=min(group.trials, trials)) for group in found]


def made(found: list[FoldSearchSpec], store: MemoryStore, budget: Budget | None = None) -> StudyRunner:
    return StudyRunner(found, space, store, in_memory, budget=budget)


def within(
    seconds: float, case: int, *, devices: int, device_seconds: float = float("inf"), **names: Any
) -> tuple[StudyRunner, float, list[int]]:
    """A study with a limit of time: its last runner, when it ended, and the numbers that it was closed at."""
    time, store, found, closings = FakeTime(), MemoryStore(), groups(**names), []
    budget = Budget("--hours 1", seconds=seconds, device_seconds=device_seconds, clock=time)
    while True:
        study = made(found, store, budget)
        simulate(study, paced(case), devices=devices, time=time)
        if budget.closes_at is None:
            return study, time.now, closings
        closings.append(budget.closes_at)
        found = closed_at(found, budget.closes_at)


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_closed_study_is_the_one_with_that_number_of_trials(parallel: int) -> None:
    study, _, closings = within(400, 0, devices=4, trials=40, parallel=parallel, audits=1)
    assert closings and study.is_done and 1 < closings[-1] < 40
    asked = made(closed_at(groups(trials=40, parallel=parallel, audits=1), closings[-1]), MemoryStore())
    simulate(asked, paced(0), devices=2)
    assert story(study) == story(asked)


@pytest.mark.parametrize("cases", [4, pytest.param(100, marks=pytest.mark.long)])
def test_all_final_runs_end_in_time(cases: int) -> None:
    """Studies of devices and durations of their own; the limit is a third of their time or more."""
    late = []
    for case in range(cases):
        rng = np.random.default_rng(case)
        names = {
            "trials": int(rng.integers(10, 40)),
            "parallel": int(rng.integers(1, 4)),
            "sampler": "random",
        }
        devices = int(rng.integers(1, 12))
        _, whole, _ = within(float("inf"), case, devices=devices, **names)
        seconds = whole * float(rng.uniform(0.33, 0.9))
        study, ended, closings = within(seconds, case, devices=devices, **names)
        assert closings
        if not study.is_done:
            late.append((case, study.remaining, ended / seconds))
    assert len(late) <= cases / 20, late


def test_enough_time_changes_nothing() -> None:
    study, ended, closings = within(10_000, 0, devices=4, trials=12)
    alone = made(groups(trials=12), MemoryStore())
    assert not closings and simulate(alone, paced(0), devices=4).seconds == ended
    assert story(study) == story(alone)


def test_device_time_is_a_limit_of_its_own() -> None:
    study, _, closings = within(float("inf"), 0, devices=4, trials=40, device_seconds=800)
    assert closings and study.is_done
    assert sum(outcome.device_seconds for outcome in study.outcomes) <= 800


def test_time_that_is_over_leaves_runs_and_says_how_many() -> None:
    study, ended, _ = within(20, 0, devices=1, trials=12)
    assert 20 <= ended < 25 and study.is_over and not study.is_done
    assert isinstance(study.budget, Budget)
    assert study.budget.over(study.remaining).endswith(f"is over, and {study.remaining} runs are left")


def test_makespan_by_hand() -> None:
    """Two searches of three trials of 2 s, then two final runs of 3 s each."""
    search = RunsLeft(trials=3, trial_seconds=2, repeats=2, repeat_seconds=3)
    left = {"a": search, "b": search}
    assert [makespan(left, devices) for devices in (1, 2, 4)] == [24, 12, 9]
    assert makespan({"a": replace(search, parallel_trials=3)}, 3) == 5
    follower = replace(search, trials=0, chosen_by="a")
    assert makespan({"a": search, "b": follower}, 4) == 9
    running = replace(search, trials=1, running_trials=(1.5,))
    assert makespan({"a": running}, 2) == 1.5 + 2 + 3
    assert makespan({"a": replace(search, trials=0, repeats=0, running_repeats=(4.0,))}, 2) == 4


def test_the_most_trials_that_fit() -> None:
    assert most_trials(9, lambda n: False, least=4) == 4
    assert [most_trials(9, lambda n, limit=limit: n <= limit) for limit in (0, 1, 5, 9, 20)] == [
        1,
        1,
        5,
        9,
        9,
    ]
