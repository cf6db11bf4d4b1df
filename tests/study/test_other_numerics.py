"""A results folder of other numerics: what is complete is found, and nothing is trained there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest

from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS
from learner_ray.run.folder import RunFolder
from learner_ray.run.spec import Source
from learner_ray.study.other_numerics import notice, recipe_then, recorded_numerics, refuse_to_add
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.results import Results
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study_file import load_study
from learner_ray.study.study_json import study_hash
from tests.study.small_study import run

OLDER, NEWER = NUMERICS - 1, NUMERICS + 1


def plan(manifest: Path, numerics: int, **size: int) -> Plan:
    cohort = load(manifest, modality="lus")
    return make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), modality="lus", cohort_hash=cohort.hash),
        profile="laptop",
        size=Size(**{"trials": 2, "folds": 2, "repeats": 1, "seeds": 1, "audits": 0, **size}),
        arms=("mse", "weighted"),
        edits={"train.epochs": 4},
        precision="float32",
        seed=0,
        threads=1,
        numerics=numerics,
    )


def trained(plan: Plan, results: Results, *, at_most: int = 10**6) -> Results:
    """The results of a study, whose runs follow a formula."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    record(plan, results.out, [], command="python -m learner_ray.sweep lus")
    make = lambda name: optuna.create_study(direction="maximize", study_name=name)  # noqa: E731
    run(StudyRunner(plan.groups, plan.study.space, results.store, make), at_most=at_most, finish_last=False)
    return results


def contents(results: Results) -> dict[Path, bytes]:
    files = [path for path in results.out.parent.rglob("*") if path.is_file()]
    return {path: path.read_bytes() for path in files}


def final_run(results: Results) -> RunFolder:
    folders = [RunFolder(path) for path in results.store.root.iterdir()]
    return next(folder for folder in folders if folder.read_spec().is_final)


@pytest.mark.parametrize("numerics", [OLDER, NEWER])
def test_a_whole_study_is_let_pass(numerics: int, manifest: Path, tmp_path: Path) -> None:
    asked = plan(manifest, numerics)
    results = trained(asked, Results(str(tmp_path / "lus")))
    before = contents(results)
    assert recorded_numerics(results) == numerics
    refuse_to_add(asked, results, None)
    refuse_to_add(asked, results, "failed-trials")  # none has failed
    record(asked, results.out, [])
    assert contents(results) == before


def damage(folder: RunFolder) -> None:
    (folder.path / "progress.jsonl").write_text("")


def remove_state(folder: RunFolder) -> None:
    (folder.path / "state.json").unlink()


def fail(folder: RunFolder) -> None:
    remove_state(folder)
    folder.finish("failed", "planted")


@pytest.mark.parametrize("numerics", [OLDER, NEWER])
@pytest.mark.parametrize(
    ("change", "more", "retry", "said"),
    [
        (damage, {}, None, "progress.jsonl"),
        (remove_state, {}, None, "is still to be trained"),
        (fail, {}, "failed", "failed and is to be tried again"),
        (lambda folder: None, {"seeds": 2}, None, "final-s1 is still to be trained"),
        (lambda folder: None, {"trials": 3}, None, "trial-002 is still to be trained"),
    ],
    ids=["damaged", "unfinished", "retry", "extended", "more-trials"],
)
def test_whatever_is_left_to_train_is_refused_and_nothing_changed(
    numerics: int,
    change: Callable[[RunFolder], object],
    more: dict[str, Any],
    retry: str | None,
    said: str,
    manifest: Path,
    tmp_path: Path,
) -> None:
    results = trained(plan(manifest, numerics), Results(str(tmp_path / "lus")))
    change(final_run(results))
    before = contents(results)
    with pytest.raises(UserError) as refused:
        refuse_to_add(plan(manifest, numerics, **more), results, retry)
    text = str(refused.value)
    assert said in text and f"numerics {numerics}" in text and f"numerics {NUMERICS}" in text
    assert "analysis/report.py" in text and "--out" in text and "python -m learner_ray.sweep lus" in text
    assert contents(results) == before


def test_a_trial_that_lacks_its_end_alone_is_not_ended_either(manifest: Path, tmp_path: Path) -> None:
    asked = plan(manifest, OLDER)
    results = trained(asked, Results(str(tmp_path / "lus")))
    trials = [RunFolder(path) for path in results.store.root.iterdir()]
    remove_state(next(f for f in trials if not f.read_spec().is_final and len(f.progress()) == 4))
    before = contents(results)
    with pytest.raises(UserError, match="has not ended"):
        refuse_to_add(asked, results, None)
    assert contents(results) == before


def test_a_study_of_this_number_is_not_looked_at(manifest: Path, tmp_path: Path) -> None:
    asked = plan(manifest, NUMERICS)
    results = trained(asked, Results(str(tmp_path / "lus")), at_most=1)
    refuse_to_add(asked, results, None)
    assert notice(NUMERICS) == "" and f"numerics {OLDER}" in notice(OLDER)


def test_a_study_that_names_no_number_is_of_the_first(manifest: Path, tmp_path: Path) -> None:
    results = Results(str(tmp_path / "lus"))
    assert recorded_numerics(results) == NUMERICS, "there is none yet"
    study = record(plan(manifest, NUMERICS), results.out, [])
    assert recorded_numerics(results) == study["numerics"] == NUMERICS
    old = {key: value for key, value in study.items() if key != "numerics"}
    (results.out / "study.json").write_text(json.dumps({**old, "hash": study_hash(old)}))
    assert recorded_numerics(results) == 1


def test_where_study_json_is_lost_the_runs_of_the_tables_tell(manifest: Path, tmp_path: Path) -> None:
    results = trained(plan(manifest, OLDER), Results(str(tmp_path / "lus")))
    pd.DataFrame({"run_hash": [final_run(results).path.name]}).to_parquet(results.out / "ledger.parquet")
    (results.out / "study.json").unlink()
    assert recorded_numerics(results) == OLDER
    (results.out / "ledger.parquet").write_text("damaged")
    assert recorded_numerics(results) == NUMERICS


def test_a_folder_keeps_its_number(manifest: Path, tmp_path: Path) -> None:
    record(plan(manifest, OLDER), tmp_path / "lus", [])
    for extend in (False, True):
        with pytest.raises(UserError, match="differs in numerics"):
            record(plan(manifest, NUMERICS), tmp_path / "lus", [], extend=extend)


def test_studies_of_one_root_share_no_run_of_two_numbers(manifest: Path, tmp_path: Path) -> None:
    """The same study twice in one root: equal numbers share every run, others none."""
    runs = []
    for name, numerics in (("old", OLDER), ("new", NUMERICS), ("again", NUMERICS)):
        results = trained(plan(manifest, numerics), Results(str(tmp_path / name)))
        runs.append({path.name for path in results.store.root.iterdir()})
    old, both, after = runs
    assert len(both) == 2 * len(old) and after == both
    assert {RunFolder(results.store.root / name).read_spec().numerics for name in both - old} == {NUMERICS}


def test_a_run_of_another_number_has_another_name(manifest: Path) -> None:
    first = plan(manifest, NUMERICS).groups[0]
    other = replace(first, settings=replace(first.settings, numerics=OLDER))
    hashes = {
        group.spec(group.config, final=final).hash for group in (first, other) for final in (False, True)
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(("numerics", "levels"), [(1, "extent"), (2, "extent"), (3, "mm")])
def test_volumes_of_a_recipe_are_shown_as_they_were_in_its_results(numerics: int, levels: str) -> None:
    study = recipe_then(load_study("mri"), numerics)
    assert study.base.data.levels == levels
    assert study.base.data.image_size == load_study("mri").base.data.image_size
