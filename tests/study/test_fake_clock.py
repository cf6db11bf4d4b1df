"""A simulated study ends as the same study does on real files, one run after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner_ray.run.folder import RunStore
from learner_ray.run.spec import RunSpec
from learner_ray.study.fake_clock import Curve, MemoryStore, recorded, simulate
from tests.study.small_study import curve, run, runner, story


def trainer(spec: RunSpec) -> Curve:
    """The small study's curves, at a speed that differs from run to run."""
    throughput = 1 + int(spec.hash, 16) % 5
    return Curve(rows=({**row, "seconds/train": float(throughput)} for row in curve(spec)))


@pytest.mark.parametrize("devices", [1, 3, 100])
def test_the_outcomes_are_those_of_the_sequential_study(tmp_path: Path, devices: int) -> None:
    sequential, simulated = runner(tmp_path), runner(MemoryStore())
    run(sequential)
    simulate(simulated, trainer, devices=devices)
    assert simulated.is_done
    assert story(simulated) == story(sequential)


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=4), devices=st.integers(1, 6))
def test_an_interrupted_study_promotes_the_same_trials(cuts: list[int], devices: int) -> None:
    undisturbed, store = runner(MemoryStore()), MemoryStore()
    whole = simulate(undisturbed, trainer, devices=devices)
    parts = [simulate(runner(store), trainer, devices=devices, until=cut) for cut in cuts]
    resumed = runner(store)
    last = simulate(resumed, trainer, devices=devices)
    assert story(resumed) == story(undisturbed)
    assert sum(part.epochs for part in (*parts, last)) == whole.epochs


def test_one_device_takes_the_sum_of_all_epochs_and_many_the_longest_group() -> None:
    def even(spec: RunSpec) -> Curve:
        return Curve(rows=curve(spec))  # a second per epoch

    one, many = (simulate(runner(MemoryStore(), seeds=1), even, devices=n) for n in (1, 100))
    assert one.seconds == one.epochs == many.epochs
    study = runner(MemoryStore(), seeds=1)
    simulate(study, even, devices=4)
    longest = max(sum(o.epochs for o in group.outcomes) for group in study.groups.values())
    assert many.seconds == longest


def test_recorded_runs_are_replayed_with_how_they_ended(tmp_path: Path) -> None:
    real = runner(tmp_path)
    planned = real.next_run()
    assert planned is not None
    real.store.folder(planned.spec.hash).finish("failed", "planted")
    real.ended(planned)
    run(real)
    replayed = runner(MemoryStore())
    simulate(replayed, recorded(tmp_path), devices=3)
    assert story(replayed) == story(real)
    assert [o.reason for o in replayed.outcomes if o.state == "failed"] == ["planted"]


def test_what_was_not_recorded_is_not_made_up(tmp_path: Path) -> None:
    run(runner(tmp_path, trials=2))
    with pytest.raises(LookupError, match="no ended run"):
        simulate(runner(MemoryStore(), trials=3), recorded(tmp_path), devices=1)


def test_a_simulation_refuses_to_write_over_real_runs(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="MemoryStore"):
        simulate(runner(RunStore(tmp_path)), trainer, devices=1)
