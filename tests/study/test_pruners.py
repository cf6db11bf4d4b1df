"""Every pruner, by its name, decides alike before and after a resume and spares final runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.run.spec import RunSpec
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.pruners import PRUNERS, OneEpoch
from learner_ray.study.samplers import SAMPLERS
from tests.study.small_study import curve, runner, story

every_scheduler = pytest.mark.parametrize("name", PRUNERS)
scores = st.lists(st.floats(-5, 5) | st.just(float("nan")), min_size=1, max_size=12)


def trainer(spec: RunSpec) -> Curve:
    return Curve(rows=curve(spec))


@every_scheduler
def test_the_first_trial_and_all_final_runs_end_their_schedule(name: str) -> None:
    study = runner(MemoryStore(), pruner=name)
    simulate(study, trainer, devices=2)
    assert study.is_done
    whole = [o for o in study.outcomes if o.planned.final or o.planned.number == 0]
    assert whole and all(o.state == "complete" for o in whole)


def check_resuming(**names: str) -> None:
    """A study stopped twice on the way ends like one that was not."""
    undisturbed, store = runner(MemoryStore(), **names), MemoryStore()
    simulate(undisturbed, trainer, devices=3)
    for until in (5, 17, 1000):
        resumed = runner(store, **names)
        simulate(resumed, trainer, devices=3, until=until)
    assert story(resumed) == story(undisturbed)


@every_scheduler
def test_an_interrupted_study_ends_like_an_undisturbed_one(name: str) -> None:
    check_resuming(pruner=name)


@every_scheduler
@settings(max_examples=30)
@given(curves=st.lists(scores, min_size=2, max_size=8))
def test_replayed_trials_count_like_live_ones(name: str, curves: list[list[float]]) -> None:
    live, replayed = PRUNERS[name](12), PRUNERS[name](12)
    for number, values in enumerate(curves[:-1]):
        rows = [{"epoch": e, "selection_score": v} for e, v in enumerate(values, 1)]
        reported = next((i for i, row in enumerate(rows, 1) if not live.keeps(number, row)), len(rows))
        replayed.replay(number, as_written(rows[:reported]))
    for epoch, value in enumerate(curves[-1], 1):
        row = {"epoch": epoch, "selection_score": value}
        assert live.keeps(99, row) == replayed.keeps(99, row)


def as_written(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows as they come back from ``progress.jsonl``, where no number is null."""
    text = json.dumps(rows).replace("NaN", "null")
    return json.loads(text)


def test_one_epoch_keeps_the_top_k_so_far() -> None:
    pruner = OneEpoch(epochs=8, top=2)
    kept = [pruner.keeps(i, {"epoch": 1, "selection_score": v}) for i, v in enumerate([1, 3, 2, 0, 2.5, 4])]
    assert kept == [True, True, True, False, True, True]
    assert pruner.keeps(9, {"epoch": 2, "selection_score": -100})


def test_a_trial_without_a_number_is_kept_behind_no_other() -> None:
    pruner = PRUNERS["halving"](8)
    assert pruner.keeps(0, {"epoch": 2, "selection_score": 1.0})
    assert not pruner.keeps(1, {"epoch": 2, "selection_score": float("nan")})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_remembers_nothing_but_the_optuna_study(sampler: str) -> None:
    check_resuming(sampler=sampler)


def test_a_grid_is_tried_point_by_point_and_alike_in_every_arm() -> None:
    study = runner(MemoryStore(), sampler="grid", pruner="none", trials=5, seeds=1)
    simulate(study, trainer, devices=2)
    for name, expected in (("mse/r0-f0", 3), ("contrastive/r0-f0", 4)):
        tried = [o.planned.parameters for o in study.groups[name].trial_outcomes][1:]
        ends = (1e-4, 10**-2.5, 1e-1)
        on_grid = [p for p in tried if any(p["train.lr"] == pytest.approx(end) for end in ends)]
        assert len({tuple(p.items()) for p in on_grid}) == expected  # of three points, and of nine
