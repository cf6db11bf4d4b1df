"""Curves lie inside TensorBoard's folder, whatever people call their arms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from learner_ray.engine.curves import Curves
from learner_ray.run.folder import RunStore
from tests.study.small_study import groups, runner

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
