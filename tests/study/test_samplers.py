"""Every sampler, by its name, suggests alike before and after a resume."""

from __future__ import annotations

import pytest

from learner_ray.study.fake_clock import MemoryStore, simulate
from learner_ray.study.samplers import SAMPLERS
from tests.study.small_study import runner
from tests.study.test_pruners import check_resuming, trainer


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
