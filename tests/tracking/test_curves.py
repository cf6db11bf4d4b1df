"""Curves lie inside TensorBoard's folder, whatever people call their arms."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from learner_ray.run.folder import RunStore
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.runner import StudyRunner
from learner_ray.tracking.curves import Curves
from tests.study.small_study import curve, groups, runner

ODD = ("w/o shift", "../up", "..", "/etc", "a/r0-f0", "a", "größe $x<y$")


def test_odd_arms_have_curves_of_their_own_inside_the_folder(tmp_path: Path) -> None:
    """Seen: curves of the arm ``../up`` beside TensorBoard's folder, those of ``w/o shift`` under ``w``."""
    study = runner(tmp_path, trials=1)
    planned = study.next_run()
    assert planned is not None
    tensorboard = tmp_path / "out" / "tensorboard"
    curves = Curves(tensorboard, RunStore(tmp_path), {}, list(ODD))
    for name in ODD:
        odd = replace(planned, group=f"{name}/r0-f0")
        assert odd.arm == name
        curves.on_start(odd)
        curves.on_row(odd, {"epoch": 1, "selection_score": 0.5})
    files = [path for path in tmp_path.rglob("events.*") if ".hparams" not in path.parts]
    assert len(files) == len(ODD) and all(path.is_relative_to(tensorboard) for path in files)
    assert {len(path.relative_to(tensorboard).parts) for path in files} == {4}, "arm, fold, run, file"
    arms = set()
    for path in files:
        read = EventAccumulator(str(path.parent)).Reload()
        start = read.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        arms.add(HParamsPluginData.FromString(start).session_start_info.hparams["arm"].string_value)
    assert arms == set(ODD)


def test_a_large_study_shows_its_best_trials_and_a_summary_whatever_the_order(tmp_path: Path) -> None:
    """Beside the final runs, the ten best trials of each arm; after a kill and a resume they are the same."""
    shown = []
    for name, devices, until in (("one", 1, math.inf), ("many", 7, math.inf), ("killed", 3, 60.0)):
        store, folder = MemoryStore(), tmp_path / name
        for end in {until, math.inf}:
            study = small(store, folder, "best")
            simulate(study, lambda spec: Curve(rows=curve(spec)), devices=devices, until=end)
        files = sorted(path for path in folder.rglob("events.*") if ".hparams" not in path.parts)
        shown.append({str(path.parent.relative_to(folder)): read(path.parent) for path in files})
    assert shown[0] == shown[1] == shown[2]
    outcomes = [o for o in study.outcomes if o.planned.arm == "mse"]
    finals = {o.planned.label for o in outcomes if o.planned.final}
    trials = [o for o in outcomes if not o.planned.final]
    best = sorted(trials, key=lambda o: (-o.selection_score, o.planned.label))[:10]
    assert len(trials) == 24
    mse = {place for place in shown[0] if place.startswith("mse/")}
    assert mse == finals | {o.planned.label for o in best} | {"mse/search"}
    summary = shown[0]["mse/search"]
    assert [step for step, _ in summary["search/device_seconds"]] == list(range(12))
    assert summary["search/device_seconds"][-1][1] == pytest.approx(sum(o.device_seconds for o in trials))
    stopped = sum(o.state == "stopped" for o in trials)
    assert stopped and summary["search/stopped"][-1][1] == stopped


@pytest.mark.parametrize(("shown", "folders"), [(None, 32), ("all", 32), ("none", 0)])
def test_a_small_study_shows_all_runs_unless_it_shows_none(
    tmp_path: Path, shown: str | None, folders: int
) -> None:
    study = small(MemoryStore(), tmp_path, shown, trials=6)
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=2)
    files = [path for path in tmp_path.rglob("events.*") if ".hparams" not in path.parts]
    assert len(files) == folders


def small(store: RunStore, folder: Path, shown: str | None, trials: int = 12) -> StudyRunner:
    curves = Curves(folder, store, {}, ["mse", "contrastive"], shown)
    return runner(store, callbacks=[curves], trials=trials)


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.mark.ray
def test_a_run_that_was_trained_has_curves_of_its_speed(finished: Path) -> None:
    names = ("speed/scans_per_s", "speed/data_wait", "speed/utilisation")
    trials = [path.parent for path in (finished / "tensorboard").glob("mse/*/trial-*/events.*")]
    assert trials
    for trial in trials:
        read = EventAccumulator(str(trial)).Reload()
        speed, wait, used = ([event.value for event in read.Scalars(name)] for name in names)
        assert len(speed) >= 1 and min(speed) > 0
        assert all(0 <= share <= 1 for share in (*wait, *used)) and max(used) > 0


@pytest.mark.parametrize("name", ["w/o shift", "../up"])
def test_a_group_knows_its_arm(name: str) -> None:
    group = groups()[0]
    group = replace(group, arm=replace(group.arm, name=name))
    assert group.name.rpartition("/")[0] == name
