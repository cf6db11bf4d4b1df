"""What the live view says of a study is what its files say."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from learner_ray.core.durations import duration
from learner_ray.core.locks import locked_file
from learner_ray.study.study_json import RUN_LOG
from learner_ray.watch import curves
from learner_ray.watch.look import Look, StudyWatch
from tests.study.small_study import run
from tests.watch.watched_study import RUNS, begin, fail, watched_study


def look(out: Path, *, running: bool) -> Look:
    if not running:
        return StudyWatch(out, "lus").look()
    with locked_file(out / ".lock"):
        return StudyWatch(out, "lus").look()


@pytest.mark.parametrize(
    ("at_most", "running", "state"), [(9, True, "running"), (9, False, "interrupted"), (RUNS, False, "ended")]
)
def test_runs_add_up_and_the_state_is_that_of_the_sweep(
    at_most: int, running: bool, state: str, tmp_path: Path
) -> None:
    study = watched_study(tmp_path / "lus", at_most)
    seen = look(tmp_path / "lus", running=running)
    assert (seen.state, seen.total, seen.phantom) == (state, RUNS, True)
    assert seen.done == len(study.outcomes) == sum(fold.done for arm in seen.arms for fold in arm.folds)
    assert f"{seen.done} of {RUNS}" in seen.headline or state == "ended"
    assert [run.label for run in seen.underway] == [
        r["start"] for r in log(tmp_path)[-1:] if state == "running"
    ]


def log(root: Path) -> list[dict[str, str]]:
    """The starts in the run log."""
    lines = map(json.loads, (root / "lus" / RUN_LOG).read_text().splitlines())
    return [line for line in lines if "start" in line]


def test_the_best_so_far_is_the_trial_with_the_highest_selection_score(tmp_path: Path) -> None:
    study = watched_study(tmp_path / "lus")
    for arm in look(tmp_path / "lus", running=False).arms:
        trials = [o for o in study.outcomes if o.planned.role == "trial" and o.planned.arm == arm.name]
        best = max(trials, key=lambda o: o.selection_score)
        assert arm.best is not None
        assert (arm.best.label, arm.best.of) == (best.planned.label, len(trials))
        assert arm.best.score == f"{best.selection_score:.3f}"


def test_failures_are_counted_by_reason_without_names_of_files(tmp_path: Path) -> None:
    study = begin(tmp_path / "lus")
    for scan in ("/data/mueller/clip.mp4", "/data/meier/clip.mp4"):
        fail(study, f"ValueError: {scan} has no frame")
    fail(study, "the GPU's memory was full")
    seen = look(tmp_path / "lus", running=False)
    assert [(each.count, "memory" in each.reason) for each in seen.failures] == [(2, False), (1, True)]
    assert "mueller" not in str(seen) and sum(arm.failed for arm in seen.arms) == 3


def test_a_refresh_reads_what_has_changed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    rows = curves.read_rows
    monkeypatch.setattr(curves, "read_rows", lambda path: read.append(path.parent.name) or rows(path))
    out = tmp_path / "lus"
    study = watched_study(out, 9)
    watch = StudyWatch(out, "lus")
    watch.look()
    assert read
    read.clear()
    watch.look()
    assert read == []
    (planned,) = run(study, at_most=1)
    seen = watch.look()
    assert read == [planned.spec.hash] and seen.done == len(study.outcomes)


def test_a_line_that_is_half_written_is_read_once_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "lus"
    study = watched_study(out)
    whole = (out / RUN_LOG).read_bytes()
    (out / RUN_LOG).write_bytes(whole[:-20])
    watch = StudyWatch(out, "lus")
    half = watch.look()
    with open(out / RUN_LOG, "ab") as stream:
        stream.write(whole[-20:])
    assert half.done == watch.look().done - 1 == len(study.outcomes) - 1


def test_time_left_is_what_equal_runs_would_take(tmp_path: Path) -> None:
    """Ten seconds each, four searches of six trials one after the other and two final runs, on two slots."""
    out = tmp_path / "lus"
    study = begin(out)
    head = (out / RUN_LOG).read_text().splitlines()[0]
    lines = [head, json.dumps({"slots": 2})]
    for search in study.groups:
        lines.append(json.dumps({"start": f"{search}/trial-000", "hash": search, "epochs": 8, "at": 100.0}))
        lines.append(
            json.dumps({"end": f"{search}/trial-000", "hash": search, "state": "complete", "at": 110.0})
        )
    (out / RUN_LOG).write_text("\n".join(lines) + "\n")
    with locked_file(out / ".lock"):
        facts = {title: value for title, value, _ in StudyWatch(out, "lus").look(now=110.0).facts}
    assert facts["Time left"] == f"about {duration(28 * 10 / 2)}"


def test_a_folder_whose_sweep_has_not_begun_waits(tmp_path: Path) -> None:
    (tmp_path / "lus").mkdir()
    seen = look(tmp_path / "lus", running=True)
    assert seen.state == "waiting" and seen.total == 0 and time.strftime("%Y") in seen.as_of


@pytest.mark.ray
@pytest.mark.slow
def test_a_study_that_was_trained_is_seen_to_have_ended(finished: Path) -> None:
    seen = StudyWatch(finished, "lus").look()
    assert seen.state == "ended" and seen.done == seen.total == len(list(finished.parent.glob("runs/*")))
    assert seen.curves and all(arm.best for arm in seen.arms if arm.searched)
