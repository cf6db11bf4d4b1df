"""A study may be interrupted anywhere and ends as if it had not been."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learner_ray.run.states import State
from tests.study.small_study import groups, run, runner, story, train


def test_every_group_gets_its_trials_and_final_runs(tmp_path: Path) -> None:
    study = runner(tmp_path, trials=4, seeds=3)
    run(study)
    assert study.is_done
    labels = [o.planned.label for o in study.outcomes]
    assert len(set(labels)) == len(labels) == 4 * (4 + 3)


def test_halving_stops_some_trials_and_never_a_final_run(tmp_path: Path) -> None:
    study = runner(tmp_path)
    run(study)
    stopped = [o for o in study.outcomes if o.state == "stopped"]
    assert stopped and not any(o.planned.final for o in stopped)
    assert all(o.epochs < 8 for o in stopped)


def test_the_final_run_takes_the_best_trials_setting_to_its_best_epoch(tmp_path: Path) -> None:
    study = runner(tmp_path, seeds=1)
    run(study)
    for group in study.groups.values():
        final = group.outcomes[-1].planned.spec.config
        best = max(group.trial_outcomes, key=lambda o: o.selection_score)
        assert final.train.lr == best.planned.spec.config.train.lr
        assert final.train.stop_epoch == best.best_epoch


def test_an_audit_is_the_chosen_trial_under_another_seed_on_its_own_patients(tmp_path: Path) -> None:
    study = runner(tmp_path, audits=2, seeds=1)
    run(study)
    assert study.is_done and study.remaining == 0
    for group in study.groups.values():
        assert group.best is not None
        chosen = group.best.planned.spec
        audits = [o.planned.spec for o in group.outcomes if o.planned.role == "audit"]
        assert len({chosen.config.seed, *(a.config.seed for a in audits)}) == 3
        for audit in audits:
            assert audit.patients == chosen.patients
            assert audit.config.train.stop_epoch == group.best.best_epoch
            same = {"seed": 0, "train.stop_epoch": 0}
            assert audit.config.with_values(same) == chosen.config.with_values(same)


def test_a_development_study_searches_one_fold_and_freezes_its_choice(tmp_path: Path) -> None:
    study = runner(tmp_path, development=True, seeds=1)
    run(study)
    assert study.is_done
    for arm in ("mse", "contrastive"):
        searched, frozen = study.groups[f"{arm}/r0-f0"], study.groups[f"{arm}/r0-f1"]
        assert [o.planned.role for o in frozen.outcomes] == ["final"]
        assert searched.best is not None
        final = frozen.outcomes[0].planned.spec.config.train
        assert (final.lr, final.stop_epoch) == (
            searched.best.planned.spec.config.train.lr, searched.best.best_epoch
        )  # fmt: skip
    again = runner(tmp_path, development=True, seeds=1)
    assert again.resume() and story(again) == story(study)


def test_nothing_is_audited_where_nothing_was_searched(tmp_path: Path) -> None:
    study = runner(tmp_path, trials=0, audits=2, seeds=1)
    run(study)
    assert [o.planned.role for o in study.outcomes] == ["final"] * 4


def test_arms_start_from_the_same_points(tmp_path: Path) -> None:
    study = runner(tmp_path)
    run(study)
    lr = {name: [o.planned.parameters["train.lr"] for o in g.outcomes] for name, g in study.groups.items()}
    assert lr["mse/r0-f0"][:2] == lr["contrastive/r0-f0"][:2]
    assert lr["mse/r0-f0"][1] != lr["mse/r0-f1"][1]


def test_a_salted_arm_has_seeds_of_its_own() -> None:
    group = groups()[0]
    twin = replace(group, arm=replace(group.arm, seed_offset="twin"))
    assert {group.run_seed("final", n) for n in (0, 1)}.isdisjoint(twin.run_seed("final", n) for n in (0, 1))


def test_a_search_starts_from_the_base_configuration(tmp_path: Path) -> None:
    study = runner(tmp_path)
    run(study)
    for group in study.groups.values():
        assert group.outcomes[0].planned.spec.config.train.lr == group.group.config.train.lr


def test_no_epoch_before_half_the_schedule_is_chosen(tmp_path: Path) -> None:
    study = runner(tmp_path, trials=1, seeds=1)
    while (planned := study.next_run()) is not None:
        folder = study.store.folder(planned.spec.hash)
        rows = [
            {"epoch": e, "selection_score": -e, "seconds/train": 0, "seconds/evaluate": 0}
            for e in range(1, 9)
        ]
        folder.path.mkdir(parents=True, exist_ok=True)
        (folder.path / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        folder.finish("complete", "")
        study.ended(planned)
    finals = [o.planned.spec.config.train.stop_epoch for o in study.outcomes if o.planned.final]
    assert finals == [4] * 4


def test_the_same_command_again_hands_out_nothing(tmp_path: Path) -> None:
    run(runner(tmp_path))
    again = runner(tmp_path)
    assert again.resume()
    assert again.next_run() is None


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_a_killed_study_ends_like_an_undisturbed_one(tmp_path_factory, cuts: list[int]) -> None:
    undisturbed = runner(tmp_path_factory.mktemp("whole"))
    run(undisturbed)
    root = tmp_path_factory.mktemp("cut")
    for cut in cuts:
        run(runner(root), at_most=cut, finish_last=False)
    resumed = runner(root)
    run(resumed)
    assert story(resumed) == story(undisturbed)


def test_a_group_whose_trials_all_failed_has_no_final_run(tmp_path: Path) -> None:
    study = runner(tmp_path, trials=2)
    while (planned := study.next_run()) is not None:
        study.store.folder(planned.spec.hash).finish("failed", "planted")
        study.ended(planned)
    assert study.is_done
    assert all(not o.planned.final for o in study.outcomes)
    assert len(study.outcomes) == 4 * 2


@pytest.mark.parametrize(
    ("role", "state", "short"),
    [("trial", "diverged", False), ("trial", "failed", True), ("final", "diverged", True)],
)
def test_a_trial_that_diverges_leaves_no_result_lacking(
    tmp_path: Path, role: str, state: State, short: bool
) -> None:
    study = runner(tmp_path, seeds=2)
    ended = False
    while (planned := study.next_run()) is not None:
        if planned.role == role and not ended:
            ended = True
            study.store.folder(planned.spec.hash).finish(state, "its loss is no number")
        else:
            train(study, planned)
        study.ended(planned)
    assert ended and study.is_done and study.is_short is short


def test_final_runs_that_can_never_begin_are_lacking(tmp_path: Path) -> None:
    study = runner(tmp_path)
    while (planned := study.next_run()) is not None:
        study.store.folder(planned.spec.hash).finish("diverged", "its loss is no number")
        study.ended(planned)
    assert study.is_done and study.is_short
