"""Where the test patients come from is said in every row, recorded, and part of what a folder holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.cohort import Cohort, DivisionAsked, load, make_splits, splits_hash
from learner_ray.core.errors import UserError
from learner_ray.run.spec import Source
from learner_ray.study.ledger import protocol
from learner_ray.study.options import SweepOptions
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.study_file import load_study


def cohort_of(manifest: Path) -> Cohort:
    cohort = load(manifest, modality="lus")
    folds = make_splits(cohort, folds=3, repeats=1, seed=0)
    site = {patient: "ABC"[fold.fold] for fold in folds for patient in fold.test}
    return replace(cohort, scans=cohort.scans.assign(site=cohort.scans["patient"].map(site)))


def plan_of(manifest: Path, division: DivisionAsked, development: bool = False) -> Plan:
    return make_plan(
        load_study("lus"),
        cohort_of(manifest),
        Source(path=str(manifest), modality="lus", cohort_hash="0"),
        profile="laptop",
        size=Size(folds=5, repeats=3, seeds=1, trials=1),
        arms=("mse", "metadata", "weighted"),
        edits={},
        precision="float32",
        seed=0,
        threads=1,
        division=division,
        development=development,
    )


def table(path: Path, manifest: Path, repeats: int) -> str:
    """A user's own table, of folds that were drawn under another seed."""
    folds = make_splits(cohort_of(manifest), folds=2, repeats=repeats, seed=7)
    lines = [f"{patient},{fold.repeat},{fold.fold}" for fold in folds for patient in fold.test]
    path.write_text("\n".join(["patient,repeat,fold", *lines]) + "\n")
    return str(path)


def test_no_run_sees_the_site_that_its_fold_leaves_out(manifest: Path) -> None:
    plan = plan_of(manifest, DivisionAsked(leave_out="site"))
    assert (plan.size.folds, plan.size.repeats) == (3, 1)
    site = dict(zip(plan.cohort.scans["patient"], plan.cohort.scans["site"], strict=True))
    for group in plan.groups:
        left_out = plan.division.places[group.fold.fold]
        assert {site[patient] for patient in group.fold.test} == {left_out}
        for final in (False, True):
            seen = group.patients(final=final)
            assert left_out not in {site[p] for p in (*seen.pretrain, *seen.classifier, *seen.validation)}
    assert protocol(plan) == "nested, leave one site out"
    assert protocol(plan_of(manifest, DivisionAsked(leave_out="site"), development=True)) == (
        "development-split, leave one site out"
    )


def test_own_splits_are_recorded_with_their_file_and_may_grow_by_repeats(
    manifest: Path, tmp_path: Path
) -> None:
    one = DivisionAsked(splits=table(tmp_path / "own.csv", manifest, repeats=1))
    kept = record(plan_of(manifest, one), tmp_path / "lus", [])
    splits = json.loads((tmp_path / "lus" / "splits.json").read_text())
    assert kept["division"] == "own splits" and kept["protocol"] == "nested, own splits"
    assert splits["from"] == kept["splits_file"]["from"] == str(tmp_path / "own.csv")
    assert len(splits["file_hash"]) == 64 and splits["hash"] == kept["split_hash"]
    record(plan_of(manifest, one), tmp_path / "lus", [])
    two = DivisionAsked(splits=table(tmp_path / "two.csv", manifest, repeats=2))
    with pytest.raises(UserError, match="--extend"):
        record(plan_of(manifest, two), tmp_path / "lus", [])
    grown = record(plan_of(manifest, two), tmp_path / "lus", [], extend=True)
    assert grown["repeats"] == 2 and grown["splits_file"]["from"].endswith("two.csv")
    with pytest.raises(UserError, match="another study"):
        record(plan_of(manifest, DivisionAsked(leave_out="site")), tmp_path / "lus", [], extend=True)


def test_drawn_splits_are_what_they_were(manifest: Path) -> None:
    plan = plan_of(manifest, DivisionAsked())
    drawn = make_splits(plan.cohort, folds=5, repeats=3, seed=0)
    assert splits_hash(plan.folds) == splits_hash(drawn) and protocol(plan) == "nested"


def test_two_ways_of_dividing_patients_contradict_each_other() -> None:
    with pytest.raises(UserError, match="give one of them"):
        SweepOptions(splits="own.csv", leave_out="site")
    with pytest.raises(UserError, match="--splits is empty"):
        SweepOptions(splits="")
    with pytest.raises(UserError, match="--leave-out is 'hospital': choose site, device"):
        SweepOptions(leave_out="hospital")
