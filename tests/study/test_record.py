"""A results folder holds one study, which may grow and never change."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from learner_ray.cohort import load, load_splits, save_splits
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source
from learner_ray.study.budget import Budget
from learner_ray.study.closing import closed_plan, closing_record, size_now, unused_device_seconds
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.sample_size import sample_size_record
from learner_ray.study.study_file import load_study
from learner_ray.study.study_json import read_study
from tests.study.small_study import curve, runner

SMALL: dict[str, Any] = {"trials": 2, "folds": 2, "repeats": 1, "seeds": 1}


def plan(manifest: Path, *, arms: tuple[str, ...] = ("mse", "weighted"), **size: int) -> Plan:
    cohort = load(manifest, modality="lus")
    return make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), modality="lus", cohort_hash=cohort.hash),
        profile="laptop",
        size=Size(**{**SMALL, **size}),
        arms=arms,
        edits={},
        precision="float32",
        seed=0,
        threads=1,
    )


@pytest.mark.parametrize(
    "more", [{"arms": ("weighted", "mse", "majority")}, {"trials": 3}, {"seeds": 2}, {"repeats": 2}]
)
def test_a_larger_study_is_taken_in_when_asked_and_only_then(
    manifest: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    with pytest.raises(UserError, match="--extend"):
        record(plan(manifest, **more), tmp_path / "lus", [])
    record(plan(manifest, **more), tmp_path / "lus", [], extend=True)
    kept = json.loads((tmp_path / "lus" / "study.json").read_text())
    (amendment,) = kept["amendments"]
    assert {change["what"] for change in amendment["changes"]} >= more.keys()
    record(plan(manifest, **more), tmp_path / "lus", [])


@pytest.mark.parametrize(
    "other", [{"arms": ("mse", "majority")}, {"trials": 1}, {"folds": 3}, {"parallel_trials": 2}]
)
def test_another_study_is_refused_even_when_asked_to_extend(
    manifest: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    with pytest.raises(UserError, match="another study"):
        record(plan(manifest, **other), tmp_path / "lus", [], extend=True)


def test_the_space_is_recorded_with_its_bounds(manifest: Path, tmp_path: Path) -> None:
    kept = record(plan(manifest), tmp_path / "lus", [])
    assert kept["space"]["train.lr"]["attributes"]["low"] == plan(manifest).space["train.lr"].low  # type: ignore[attr-defined]


def test_what_each_arm_searched_is_recorded_and_where_it_began(manifest: Path, tmp_path: Path) -> None:
    """Also where two arms search one key in different ranges."""
    kept = record(plan(manifest, arms=("rank_n_contrast", "y_aware", "majority")), tmp_path / "lus", [])
    ranges = {arm: space.get("loss.temperature") for arm, space in kept["spaces"].items()}
    assert ranges["rank_n_contrast"]["attributes"]["high"] == 8 and ranges["majority"] is None
    assert ranges["y_aware"]["attributes"]["high"] == 0.3
    starts = {arm: start.get("loss.temperature") for arm, start in kept["starts"].items()}
    assert starts == {"rank_n_contrast": 2.0, "y_aware": 0.1, "majority": None}


@pytest.mark.parametrize(
    ("arms", "same"), [(("mse", "weighted", "majority"), True), (("mse", "y_aware"), False)]
)
def test_a_study_of_before_is_the_same_one_only_where_its_searches_began_alike(
    manifest: Path, tmp_path: Path, arms: tuple[str, ...], same: bool
) -> None:
    """A 0 that stands for the published value was drawn, since it lies outside the range."""
    path = tmp_path / "lus" / "study.json"
    written = record(plan(manifest, arms=arms), tmp_path / "lus", [])
    added = ("hash", "spaces", "starts")
    path.write_text(json.dumps({key: value for key, value in written.items() if key not in added}))
    if same:
        assert record(plan(manifest, arms=arms), tmp_path / "lus", [])["starts"] == written["starts"]
        record(plan(manifest, arms=(*arms, "y_aware")), tmp_path / "lus", [], extend=True)
    else:
        with pytest.raises(UserError, match=r"another study \(it differs in starts\)"):
            record(plan(manifest, arms=arms), tmp_path / "lus", [])


def edited(path: Path) -> None:
    stored = json.loads(path.read_text())
    folds = stored["folds"]
    folds[0]["test"], folds[1]["test"] = folds[1]["test"], folds[0]["test"]
    path.write_text(json.dumps(stored))


def whole_but_other(path: Path) -> None:
    """Hashed anew, so that the file alone does not tell."""
    folds = load_splits(path)
    save_splits(folds[::-1], path)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("splits.json", edited),
        ("splits.json", whole_but_other),
        ("splits.json", lambda path: path.write_text("[]")),
        ("splits.json", lambda path: path.write_bytes(b"\xff\x00")),
        ("study.json", lambda path: path.write_text(path.read_text().replace('"kappa"', '"accuracy"'))),
        ("study.json", lambda path: path.write_text(path.read_text().replace('"phantom": ', '"real": '))),
        ("study.json", lambda path: path.write_text("[]")),
        ("study.json", lambda path: path.write_text("{}")),
        ("study.json", lambda path: path.write_bytes(b"\xff\x00")),
    ],
)
def test_what_was_changed_by_hand_is_told_and_its_removal_mends_it(
    manifest: Path, tmp_path: Path, name: str, change: Callable[[Path], object]
) -> None:
    folder = tmp_path / "lus"
    record(plan(manifest), folder, [])
    before = {path.name: path.read_text() for path in folder.iterdir()}
    change(folder / name)
    changed = (folder / name).read_bytes()
    assert changed != before[name].encode()
    for extend in (False, True):
        with pytest.raises(UserError, match=f"{folder / name}.*restore it; or"):
            record(plan(manifest), folder, [], extend=extend)
    assert (folder / name).read_bytes() == changed
    (folder / name).unlink()
    record(plan(manifest), folder, [])
    assert (folder / "splits.json").read_text() == before["splits.json"]
    assert record(plan(manifest), folder, [])["hash"]


def test_a_first_start_that_was_killed_between_the_two_files_is_none(manifest: Path, tmp_path: Path) -> None:
    record(plan(manifest), tmp_path / "lus", [])
    (tmp_path / "lus" / "study.json").unlink()
    (tmp_path / "lus" / "notes.txt").touch()
    with pytest.raises(UserError, match="holds no study"):
        record(plan(manifest), tmp_path / "lus", [])
    (tmp_path / "lus" / "notes.txt").unlink()
    record(plan(manifest), tmp_path / "lus", [])
    assert (tmp_path / "lus" / "study.json").exists()


def test_a_study_of_before_it_was_hashed_is_taken_as_it_is(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "lus" / "study.json"
    written = record(plan(manifest), tmp_path / "lus", [])
    path.write_text(json.dumps({key: value for key, value in written.items() if key != "hash"}))
    assert "hash" not in record(plan(manifest), tmp_path / "lus", [])


def test_the_study_file_is_recorded_and_may_move(manifest: Path, tmp_path: Path) -> None:
    def of(file: str) -> Plan:
        asked = plan(manifest)
        return replace(asked, study=replace(asked.study, file=file))

    assert record(of("/before/own.py"), tmp_path / "lus", [])["study_file"] == "/before/own.py"
    assert record(of("/after/own.py"), tmp_path / "lus", [])["study_file"] == "/before/own.py"


def test_the_record_says_of_how_many_pairs_age_sex_and_education_are_known(
    manifest: Path, tmp_path: Path
) -> None:
    asked = plan(manifest)
    assert record(asked, tmp_path / "a", [])["cohort"]["covariates"] == dict.fromkeys(COVARIATES, 0)
    known = replace(asked.cohort, scans=asked.cohort.scans.assign(sex="F"))
    pairs = len(known.pairs())
    found = record(replace(asked, cohort=known), tmp_path / "b", [])["cohort"]["covariates"]
    assert found == {"age": 0, "sex": pairs, "education_years": 0, "spo2": 0}


def test_the_sample_size_is_worked_out_at_the_first_start_and_kept(manifest: Path, tmp_path: Path) -> None:
    """Later runs would tell it with hindsight, and it takes seconds."""
    asked: list[int] = []

    def sample_size() -> dict[str, Any]:
        asked.append(1)
        return {"difference": 0.1}

    for seeds in (1, 1, 2):
        kept = record(plan(manifest, seeds=seeds), tmp_path / "lus", [], extend=True, sample_size=sample_size)
        assert kept["frozen"]["sample_size"] == {"difference": 0.1}
    assert len(asked) == 1


def test_the_sample_size_is_of_the_arms_that_are_compared(manifest: Path) -> None:
    asked = plan(manifest, arms=("mse", "weighted", "majority"))
    kept = sample_size_record(asked)
    assert (
        kept
        and kept["arms_compared"] == 1
        and kept["folds"] == 2
        and kept["noise_from"] == "noise as assumed"
    )
    assert sample_size_record(plan(manifest, arms=("mse", "majority"))) is None


def test_arms_are_recorded_with_the_values_in_effect(manifest: Path, tmp_path: Path) -> None:
    """A 0 that stands for a published value, or for a loss's own number of views, tells a reader nothing."""
    kept = record(plan(manifest, arms=("mse", "y_aware", "majority")), tmp_path / "lus", [])["methods"]
    values = {arm: of["values"] for arm, of in kept["configurations"].items()}
    assert values["y_aware"]["loss.temperature"] == 0.1 and values["y_aware"]["loss.views"] == 2
    assert values["mse"] == {"loss.views": 1}
    assert not kept["configurations"]["majority"]["uses_encoder"]
    trial, whole = kept["inner"]["trial"]["patients"], kept["inner"]["final"]["patients"]
    assert whole[0] == trial[0] + kept["inner"]["validation"]["patients"][0]


def test_what_a_loss_was_published_with_is_recorded_beside_where_its_search_begins(
    manifest: Path, tmp_path: Path
) -> None:
    """Seen: AdaCon's start was called published, though its weight is 0.75 raw and begins at balanced 1."""
    study = record(plan(manifest, arms=("mse", "adacon", "log_ratio")), tmp_path / "lus", [])
    assert study["published"] == {"adacon": {"loss.temperature": 1 / 150, "loss.contrastive_weight": 0.75}}
    assert study["starts"]["adacon"]["loss.contrastive_weight"] == 1.0


def test_closed_searches_stay_so_until_the_study_is_extended(manifest: Path, tmp_path: Path) -> None:
    """The same command, which asks for all trials, means the closed study; --extend opens it again."""
    folder, asked = tmp_path / "lus", Size(**{**SMALL, "trials": 5})
    record(plan(manifest, trials=5), folder, [])
    closed = {"by": "--hours 2", "planned_trials": 5, "unused_trials": 1, "unused_device_seconds": 9.0}
    record(closed_plan(plan(manifest, trials=5), 3), folder, [], closed=closed)
    study = read_study(folder / "study.json")
    assert study and (study["trials"], study["closed"]) == (3, closed)
    assert study["frozen"]["planned"]["trials"] == 5
    assert study["amendments"][0]["changes"] == [{"what": "trials", "from": 5, "to": 3}]
    size = size_now(study, asked, extend=False)
    assert size.trials == 3 and size_now(study, asked, extend=True) == asked
    record(plan(manifest, trials=3), folder, [])
    record(plan(manifest, trials=3, seeds=2), folder, [], extend=True)
    extended = read_study(folder / "study.json")
    assert extended and extended["closed"] == closed
    record(plan(manifest, trials=5, seeds=2), folder, [], extend=True)
    opened = read_study(folder / "study.json")
    assert opened and (opened["trials"], opened["closed"]) == (5, None)


def test_trials_that_do_not_count_are_summed_over_all_closings(manifest: Path) -> None:
    """Device time that was spent on them counts in later starts, too."""
    study = runner(MemoryStore(), trials=6, pruner="none")
    simulate(study, lambda spec: Curve(rows=curve(spec)), devices=4)
    asked = plan(manifest, trials=6)
    first = closing_record(study, "--hours 2", asked, closed_plan(asked, 5), None)
    assert first == {
        "by": "--hours 2", "planned_trials": 6, "unused_trials": 4, "unused_device_seconds": 4 * 8.0
    }  # fmt: skip
    again = closing_record(
        study, "--hours 1", closed_plan(asked, 5), closed_plan(asked, 4), {"closed": first}
    )
    assert again["planned_trials"] == 6 and again["unused_trials"] == 4 + 8
    assert unused_device_seconds({"closed": again}) == 12 * 8 and unused_device_seconds(None) == 0
    budget = Budget("--max-device-hours 1", device_seconds=100)
    budget.spend(unused_device_seconds({"closed": again}))
    assert not budget.has_run_out
    budget.spend(4)
    assert budget.has_run_out
