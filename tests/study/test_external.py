"""An external cohort is of the same kind and of other people, and is recorded once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from learner_ray.cohort import Cohort, load
from learner_ray.core.errors import UserError
from learner_ray.run.external_files import COMBINED, PAIRS, external_table, write_external
from learner_ray.run.folder import RunStore
from learner_ray.run.spec import Source
from learner_ray.study.external import External, refuse_another, remember
from learner_ray.study.external_checks import require_alike, require_apart, require_other_scans
from learner_ray.study.external_tables import left_to_test, write_external_tables
from learner_ray.study.ledger import final_runs
from learner_ray.study.options import SweepOptions
from learner_ray.study.plan import Plan
from learner_ray.study.record import record
from learner_ray.study.runner import StudyRunner
from learner_ray.training.predictions import WITH_EARLIER_SCORE as FILE
from tests.study.test_ledger import plan_of, run


@pytest.fixture
def elsewhere(manifest: Path) -> Cohort:
    """The small cohort again, as if all of it were other people."""
    cohort = load(manifest, modality="lus")
    scans = cohort.scans.assign(patient="x" + cohort.scans["patient"], scan="x" + cohort.scans["scan"])
    return replace(cohort, name="elsewhere", scans=scans)


def of(cohort: Cohort, bad_scans: tuple[str, ...] = ()) -> External:
    return External(cohort=cohort, source=Source(path="x", cohort_hash=cohort.hash, bad_scans=bad_scans))


def of_score(**change: Any) -> Callable[[Cohort], Cohort]:
    return lambda cohort: replace(cohort, score=replace(cohort.score, **change))


def stacked(cohort: Cohort) -> Cohort:
    return replace(cohort, scans=cohort.scans.assign(files=[files * 3 for files in cohort.scans["files"]]))


def unchanging(cohort: Cohort) -> Cohort:
    return replace(cohort, scans=cohort.scans.assign(score=400.0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cohort: replace(cohort, modality="mri"), "its modality is mri, that of .* is lus"),
        (of_score(name="P/F ratio"), "its score is P/F ratio"),
        (of_score(unit="kPa"), "its unit of the score is kPa, that of .* is none"),
        (of_score(healthier="lower"), "its healthier score is lower"),
        (of_score(change_threshold=30), "its change threshold is 30, that of .* is 25"),
        (lambda cohort: replace(cohort, temporal=False), "its order of visits is not in time"),
        (stacked, "its scans are 3 x video, those of .* are video"),
        (unchanging, "no progression pair is 'worse'"),
    ],
)  # fmt: skip
def test_classes_scores_and_scans_mean_the_same_in_both_cohorts(
    manifest: Path, elsewhere: Cohort, change: Callable[[Cohort], Cohort], said: str
) -> None:
    cohort = load(manifest, modality="lus")
    require_alike(cohort, elsewhere)
    files = [("none.mp4",), *elsewhere.scans["files"][1:]]
    require_alike(cohort, replace(elsewhere, scans=elsewhere.scans.assign(files=files)))  # --skip-bad
    with pytest.raises(UserError, match=f"--test-data elsewhere: {said}"):
        require_alike(cohort, change(elsewhere))


def test_a_patient_of_the_study_under_any_spelling_is_refused(manifest: Path, elsewhere: Cohort) -> None:
    cohort = load(manifest, modality="lus")
    require_apart(cohort, elsewhere)
    scans = elsewhere.scans.assign(patient=elsewhere.scans["patient"].replace({"xp3": "P-03"}))
    with pytest.raises(UserError, match=r"1 patient is .*\n.*row \d+: patient 'P-03' is 'p3' of "):
        require_apart(cohort, replace(elsewhere, scans=scans))


def test_a_scan_of_the_study_under_any_name_is_refused(manifest: Path, elsewhere: Cohort) -> None:
    cohort = load(manifest, modality="lus")
    here, there = (replace(c, contents=c.held) for c in (cohort, elsewhere))
    with pytest.raises(UserError, match=r"48 scans are .*\n.*row 2: xp0-0.mp4 has the content of p0-0.mp4"):
        require_other_scans(here, there)
    require_other_scans(here, replace(there, contents={path: f"{path}!" for path in there.paths}))


def test_a_study_has_one_external_cohort_and_no_run_knows_of_it(
    manifest: Path, tmp_path: Path, elsewhere: Cohort
) -> None:
    plan, folder = plan_of(manifest), tmp_path / "lus"
    hashes = [group.spec(group.config, final=True).hash for group in plan.groups]
    kept = record(plan, folder, [])
    remember(None, folder)
    remember(of(elsewhere), folder)
    study = json.loads((folder / "study.json").read_text())
    found = study["external"]
    assert found["flow"]["readable"]["scans"] == found["scans"] and found["flow"]["unreadable"] == {}
    assert found["cohort_hash"] == elsewhere.hash and found["patients"] == 12 and found["added"]
    assert {key: value for key, value in study.items() if key not in ("external", "hash")} == {
        key: value for key, value in kept.items() if key != "hash"
    }
    remember(of(elsewhere), folder)
    assert json.loads((folder / "study.json").read_text()) == study
    for same in (None, of(elsewhere)):
        refuse_another(same, study, folder)
    refuse_another(of(elsewhere, bad_scans=("xp0-0.mp4",)), kept, folder)  # which has none yet
    with pytest.raises(UserError, match="another --out"):
        refuse_another(of(replace(elsewhere, scans=elsewhere.scans.iloc[:-1])), study, folder)
    with pytest.raises(UserError, match="another --out"):
        refuse_another(of(elsewhere, bad_scans=("xp0-0.mp4",)), study, folder)
    record(plan, folder, [])
    larger = replace(plan, size=replace(plan.size, seeds=3))
    assert record(larger, folder, [], extend=True)["external"] == found
    assert hashes == [group.spec(group.config, final=True).hash for group in plan.groups]


def predicted(plan: Plan, runner: StudyRunner, external: External, folder: Path) -> pd.DataFrame:
    """What is left is tested as runs that say "better" with certainty, and tabled."""
    for run_ in left_to_test(runner, external):
        own = runner.store.folder(run_.run_hash)
        pairs = pd.read_parquet(own.path / "predictions.parquet")
        pairs = pairs.assign(y_pred=2, patient=external.cohort.pseudonym("xp0"))
        write_external(own, external.source, run_.run_hash, {PAIRS: pairs, "scores": pairs.assign(scan="0")})
    write_external_tables(plan, runner, external, folder)
    return pd.read_parquet(folder / "external.parquet")


def test_the_external_ledger_has_the_ledgers_columns_and_imputes_what_failed(
    manifest: Path, tmp_path: Path, elsewhere: Cohort
) -> None:
    plan, folder, external = plan_of(manifest), tmp_path / "lus", of(elsewhere)
    runner = run(plan, folder, {"mse/r0-f1/final-s0": ("failed", "planted")})
    ledger = (folder / "ledger.parquet").read_bytes()
    assert len(left_to_test(runner, external)) == 11
    table = predicted(plan, runner, external, folder)
    assert left_to_test(runner, external) == []
    own = pd.read_parquet(folder / "ledger.parquet")
    assert list(table) == list(own) and set(table["cohort"]) == {"elsewhere"}
    assert set(table["protocol"]) == {"nested, tested on an external cohort"}
    failed = table[table["imputed"]]
    assert set(failed["arm"] + failed["fold"].astype(str)) == {"mse1"} and len(failed) == len(
        elsewhere.pairs()
    )
    assert set(failed["patient"]) == {elsewhere.pseudonym(p) for p in elsewhere.patients}
    assert (table.loc[~table["imputed"], "y_pred"] == 2).all()
    assert (folder / "ledger.parquet").read_bytes() == ledger

    victim = next(RunStore(tmp_path).root.glob(f"*/external-{external.key}-pairs.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])
    assert [run_.run_hash for run_ in left_to_test(runner, external)] == [victim.parent.name]
    write_external_tables(plan, runner, external, folder)
    assert victim.parent.name not in set(pd.read_parquet(folder / "external.parquet")["run_hash"])


def test_runs_combined_with_the_earlier_score_are_so_there_too(
    manifest: Path, tmp_path: Path, elsewhere: Cohort
) -> None:
    """Runs that a version tested which did not combine them there are tested again."""
    plan, folder, external = plan_of(manifest), tmp_path / "lus", of(elsewhere)
    runner = run(plan, folder, {"mse/r0-f1/final-s0": ("failed", "planted")})
    assert set(predicted(plan, runner, external, folder)["arm"]) == {"mse", "weighted", "majority"}
    own = [run_ for run_ in final_runs(runner) if run_.group.arm.name == "mse" and run_.state == "complete"]
    for run_ in own:
        path = runner.store.folder(run_.run_hash).path
        shutil.copy(path / "predictions.parquet", path / FILE)
    assert {run_.run_hash for run_ in left_to_test(runner, external)} == {run_.run_hash for run_ in own}
    for run_ in own:
        folder_ = runner.store.folder(run_.run_hash)
        pairs = pd.read_parquet(external_table(folder_, external.key, PAIRS))
        tables = {PAIRS: pairs, "scores": pairs.assign(scan="0"), COMBINED: pairs.assign(y_pred=0)}
        write_external(folder_, external.source, run_.run_hash, tables)
    assert left_to_test(runner, external) == []
    write_external_tables(plan, runner, external, folder)
    table = pd.read_parquet(folder / "external.parquet").query("arm == 'mse + earlier score'")
    assert (table.loc[~table["imputed"], "y_pred"] == 0).all()
    assert table.groupby(["fold", "seed"])["imputed"].first().sum() == 1, "the run that failed has rows, too"


def test_options_of_an_external_cohort_are_checked_where_they_are_written() -> None:
    with pytest.raises(UserError, match="--test-data is empty"):
        SweepOptions(test_data="")
    with pytest.raises(UserError, match="give --test-data"):
        SweepOptions(test_format="oasis2")
