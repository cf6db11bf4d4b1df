"""Which runs are trained again, and which need not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from learner_ray.study.planned_run import PlannedRun
from learner_ray.study.runner import StudyRunner
from tests.study.small_study import curve, run, runner, story, train


def fail(study: StudyRunner, planned: PlannedRun, *, rows: int = 0) -> None:
    """Writes the files of a run that failed after so many epochs."""
    folder = study.store.folder(planned.spec.hash)
    folder.write_spec(planned.spec)
    lines = [json.dumps(row) + "\n" for row in curve(planned.spec)][:rows]
    (folder.path / "progress.jsonl").write_text("".join(lines))
    (folder.path / "error.txt").write_text("planted")
    folder.finish("failed", "planted")


def some_fail(root: Path, *labels: str, rows: int = 0) -> None:
    """A study in which these runs have failed."""
    study = runner(root, trials=3, pruner="none")
    while (planned := study.next_run()) is not None:
        if planned.label in labels:
            fail(study, planned, rows=rows)
        else:
            train(study, planned)
        study.ended(planned)


def resumed(root: Path, retry: tuple[str, ...] = ()) -> tuple[StudyRunner, list[str]]:
    study = runner(root, trials=3, pruner="none", retry=retry)
    return study, [planned.label for planned in run(study)]


FINAL, TRIAL = "mse/r0-f0/final-s1", "mse/r0-f0/trial-001"
FAILED, ALL = ("audit", "final"), ("trial", "audit", "final")


def test_what_has_failed_stays_so_until_it_is_asked_for(tmp_path: Path) -> None:
    some_fail(tmp_path, FINAL, TRIAL)
    study, trained = resumed(tmp_path)
    assert not trained and {o.planned.label for o in study.failed} == {FINAL, TRIAL}
    study, trained = resumed(tmp_path, FAILED)
    assert trained == [FINAL] and {o.planned.label for o in study.failed} == {TRIAL}
    assert not (
        study.store.folder(study.groups["mse/r0-f0"].outcomes[-1].planned.spec.hash).path / "error.txt"
    ).exists()


def test_a_run_that_fails_again_is_not_tried_for_ever(tmp_path: Path) -> None:
    some_fail(tmp_path, FINAL)
    study = runner(tmp_path, trials=3, pruner="none", retry=FAILED)
    planned = study.next_run()
    assert planned is not None and planned.label == FINAL
    fail(study, planned)
    study.ended(planned)
    assert study.is_done and [o.planned.label for o in study.failed] == [FINAL]


def test_after_a_trial_tried_again_the_search_is_that_of_the_undisturbed_study(tmp_path: Path) -> None:
    some_fail(tmp_path / "r", TRIAL)
    study, trained = resumed(tmp_path / "r", ALL)
    assert TRIAL in trained
    undisturbed = runner(tmp_path / "whole", trials=3, pruner="none")
    run(undisturbed)
    assert story(study) == story(undisturbed)


def test_a_failed_trial_with_all_its_epochs_keeps_its_place_and_is_not_trained(tmp_path: Path) -> None:
    some_fail(tmp_path, TRIAL, rows=8)
    study, trained = resumed(tmp_path, ALL)
    assert TRIAL not in trained and not study.failed
    trial = study.groups["mse/r0-f0"].outcomes[1]
    assert trial.state == "complete" and trial.epochs == 8


@pytest.mark.parametrize("rows", [7, 8])
def test_a_trial_killed_after_its_last_epoch_has_ended(rows: int, tmp_path: Path) -> None:
    study = runner(tmp_path, trials=3, pruner="none")
    planned = study.next_run()
    assert planned is not None
    folder = study.store.folder(planned.spec.hash)
    folder.write_spec(planned.spec)
    lines = [json.dumps(row) + "\n" for row in curve(planned.spec)][:rows]
    (folder.path / "progress.jsonl").write_text("".join(lines))
    again = runner(tmp_path, trials=3, pruner="none").next_run()
    assert again is not None and (again.label == planned.label) == (rows < 8)


def test_a_final_run_with_all_its_epochs_is_not_ended_for_it_has_not_been_tested(tmp_path: Path) -> None:
    some_fail(tmp_path, FINAL, rows=8)
    _, trained = resumed(tmp_path, ALL)
    assert trained == [FINAL]
