"""Trials that run at a time: the study is the same, whatever ends first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest

from learner_ray.run.spec import RunSpec
from learner_ray.study.fake_clock import Curve, MemoryStore, Trainer, simulate
from learner_ray.study.runner import StudyRunner
from learner_ray.study.samplers import SAMPLERS, trials_known
from tests.study.small_study import curve, runner, story

optuna.logging.set_verbosity(optuna.logging.ERROR)
FAST = [name for name in SAMPLERS if name != "gp"]


def in_order(order: int) -> Trainer:
    """Runs whose outcome is that of ``curve``, and whose durations vary tenfold from one order to another."""

    def rows(spec: RunSpec) -> Iterator[dict[str, Any]]:
        rng = np.random.default_rng([order, int(spec.hash[:8], 16)])
        seconds = float(np.exp(rng.normal(0, 0.8)))
        for row in curve(spec):
            yield {**row, "seconds/train": seconds}

    return lambda spec: Curve(rows=rows(spec))


def ended(order: int, *, devices: int, kills: tuple[float, ...] = (), **names: Any) -> StudyRunner:
    """A study whose runs end in an order of their own, killed at some times and gone on with."""
    store = MemoryStore()
    for until in (*kills, float("inf")):
        study = runner(store, **names)
        simulate(study, in_order(order), devices=devices, until=until)
    assert study.is_done
    return study


def check_orders(orders: int, **names: Any) -> None:
    expected = story(ended(0, devices=1, **names))
    for order in range(1, orders + 1):
        rng = np.random.default_rng(order)
        kills = tuple(rng.uniform(0, 60, rng.integers(0, 3)))
        assert story(ended(order, devices=int(rng.integers(1, 40)), kills=kills, **names)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [*((s, "halving") for s in FAST), ("tpe", "none"), ("qmc", "none"), ("tpe", "optuna.median")],
)
def test_the_order_of_ending_never_matters(sampler: str, pruner: str) -> None:
    check_orders(2, sampler=sampler, pruner=pruner, parallel=2, trials=14)


@pytest.mark.long
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nor_with_many_trials_at_a_time(sampler: str) -> None:
    size = {"orders": 4, "trials": 12} if sampler == "gp" else {"orders": 8, "trials": 48}
    check_orders(sampler=sampler, pruner="halving", parallel=8, **size)


@pytest.mark.parametrize("pruner", ["halving", "none"])
def test_so_many_trials_of_a_search_run_at_a_time(pruner: str) -> None:
    """Without a pruner those that begin at random begin at once, so more than that run at first."""
    study = runner(MemoryStore(), pruner=pruner, parallel=3, trials=40)
    handed_out = []
    while (planned := study.next_run()) is not None:
        handed_out.append(planned)
    at_once = 3 if pruner == "halving" else 15  # as long as fewer than ten of trials 0 to n - 6 are known
    assert len(handed_out) == 4 * at_once


def test_a_trial_goes_by_those_whose_number_is_smaller_by_the_lag() -> None:
    """Trials of which none is told are equal in both; the first that can differ comes after the lag."""
    told = {"tpe": (0, 0, 10, 41), "random": (0, 0, 0, 0), "qmc": (0, 1, 1, 1), "cma-es": (0, 0, 10, 41)}
    for sampler, expected in told.items():
        assert tuple(trials_known(sampler, trial, 6) for trial in (0, 1, 15, 46)) == expected
    assert [trials_known("tpe", trial, 1) for trial in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize("parallel", [1, 2, 8])
def test_what_runs_beside_a_trial_counts_as_running(parallel: int) -> None:
    """The first trials of all searches are the same for any number at a time."""
    found = ended(0, devices=4, parallel=parallel, pruner="none", trials=12)
    alone = ended(0, devices=4, parallel=1, pruner="none", trials=12)
    for name, search in found.groups.items():
        hashes = [o.planned.spec.hash for o in search.trial_outcomes]
        assert hashes[:10] == [o.planned.spec.hash for o in alone.groups[name].trial_outcomes][:10]


def test_the_pruner_sees_no_trial_within_the_lag() -> None:
    """With as many at a time as there are trials, none is compared with another."""
    study = ended(0, devices=9, parallel=9, pruner="halving", trials=9)
    assert {o.state for o in study.outcomes} == {"complete"}
    stopped = ended(0, devices=9, parallel=1, pruner="halving", trials=9)
    assert "stopped" in {o.state for o in stopped.outcomes}
