"""A final run that failed has rows in the ledger: what the majority class of its patients predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
import pytest

from analysis.results.load import load as load_results
from analysis.tables.failures import failed_finals
from learner_ray.cohort import load
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.run.folder import RunStore
from learner_ray.run.spec import Source
from learner_ray.study.archive import run_hashes
from learner_ray.study.imputed import majority_rows
from learner_ray.study.ledger import write_tables
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.planned_run import PlannedRun
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import WITH_EARLIER_SCORE
from learner_ray.study.study_file import load_study
from learner_ray.training.predictions import WITH_EARLIER_SCORE as FILE
from tests.formula_runs import FormulaRun

NOT_OF_A_RUN = ["run_hash", "imputed", "arm"]
EMPTY = ["pred_earlier", "pred_later", "distance"]


def plan_of(manifest: Path, trials: int = 0, bad_scans: tuple[str, ...] = ()) -> Plan:
    cohort = load(manifest, modality="lus")
    return make_plan(
        load_study("lus"),
        cohort,
        Source(path=str(manifest), cohort_hash=cohort.hash, bad_scans=bad_scans),
        profile="laptop",
        size=Size(folds=2, repeats=1, seeds=2, trials=trials),
        arms=("mse", "weighted", "majority"),
        edits={"train.epochs": 1},
        precision="float32",
        seed=0,
        threads=1,
    )


def run(plan: Plan, folder: Path, ends: Mapping[str, tuple[str, str]], at_most: int = 10**6) -> StudyRunner:
    """Runs the study by a formula; those whose label begins as one of ``ends`` end as it says."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    studies = lambda name: optuna.create_study(direction="maximize", study_name=name)  # noqa: E731
    runner = StudyRunner(plan.groups, plan.study.space, RunStore(folder.parent), studies)
    done: list[PlannedRun] = []
    while len(done) < at_most and (planned := runner.next_run()) is not None:
        done.append(planned)
        run_folder = runner.store.folder(planned.spec.hash)
        run_folder.write_spec(planned.spec)
        found = next((end for label, end in ends.items() if planned.label.startswith(label)), None)
        if found:
            run_folder.finish(*found)  # type: ignore[arg-type]
        else:
            formula = FormulaRun(run_folder)
            while (row := formula.advance()) is not None and runner.row(planned, row):
                pass
        runner.ended(planned)
    write_tables(plan, runner, folder)
    return runner


def table(folder: Path, name: str = "ledger") -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def test_an_undisturbed_ledger_holds_the_runs_own_predictions_and_imputes_nothing(
    manifest: Path, tmp_path: Path
) -> None:
    plan = plan_of(manifest)
    run(plan, tmp_path / "lus", {})
    ledger = table(tmp_path / "lus")
    assert ledger["imputed"].dtype == bool and not ledger["imputed"].any()
    assert list(ledger).index("imputed") == list(ledger).index("p_better") + 1
    for run_hash, rows in ledger.groupby("run_hash"):
        own = pd.read_parquet(tmp_path / "runs" / str(run_hash) / "predictions.parquet")
        kept = rows.set_index("pair")[list(own.columns.drop("pair"))].sort_index()
        pd.testing.assert_frame_equal(kept, own.set_index("pair").sort_index())
    finals = table(tmp_path / "lus", "finals")
    assert (finals["state"] == "complete").all() and "gradient_ratio" in finals
    assert not (tmp_path / "lus/ratings.parquet").exists(), "no scan of this cohort was rated by itself"


def test_ratings_of_single_scans_lie_beside_the_ledger_and_reach_the_report(
    manifest: Path, tmp_path: Path
) -> None:
    plan = plan_of(manifest)
    rated = dict.fromkeys(plan.cohort.scans["scan"], 300.0)
    plan = replace(plan, cohort=replace(plan.cohort, ratings=rated))
    record(plan, tmp_path / "lus", [])
    run(plan, tmp_path / "lus", {})
    study = load_results([tmp_path / "lus"]).studies[0]
    assert len(study.ratings) == len(plan.cohort.scans)
    assert set(study.ratings["patient"]) == set(study.scores["patient"])


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_a_failed_final_run_counts_as_the_majority_class(manifest: Path, tmp_path: Path, state: str) -> None:
    plan = plan_of(manifest)
    run(plan, tmp_path / "lus", {"mse/r0-f0/final-s1": (state, "loss is nan")})
    ledger, cohort = table(tmp_path / "lus"), plan.cohort
    imputed = ledger[ledger["imputed"]]
    assert {tuple(of_run) for of_run in imputed[["arm", "fold", "seed"]].to_numpy()} == {("mse", 0, 1)}
    others = ledger[(ledger["arm"] == "weighted") & (ledger["fold"] == 0) & (ledger["seed"] == 1)]
    same = ["study", "cohort", "protocol", "repeat", "fold", "seed", "patient", "pair", "y_true", "change"]
    pd.testing.assert_frame_equal(
        imputed[same].reset_index(drop=True), others[same].reset_index(drop=True), check_dtype=True
    )
    trained = cohort.pairs()[~cohort.pairs()["patient"].isin(plan.folds[0].test)]
    counts = trained["y"].value_counts().reindex(range(3), fill_value=0)
    assert (imputed["y_pred"] == counts.to_numpy().argmax()).all(), "of equally frequent classes the first"
    shares = (counts + 1) / (len(trained) + 3)
    for name, share in zip(("p_worse", "p_same", "p_better"), shares, strict=True):
        assert imputed[name].to_numpy() == pytest.approx(share)
    assert imputed[EMPTY].isna().all(axis=None)
    finals = table(tmp_path / "lus", "finals").set_index(["arm", "fold", "seed"])
    assert tuple(finals.loc[("mse", 0, 1), ["state", "error"]]) == (state, "loss is nan")
    assert (finals["state"] == "complete").sum() == 11
    scores = table(tmp_path / "lus", "scores")
    assert not ((scores["arm"] == "mse") & (scores["fold"] == 0) & (scores["seed"] == 1)).any()


@pytest.mark.slow
def test_the_rows_are_those_of_the_majority_control_itself(manifest: Path, tmp_path: Path) -> None:
    from learner_ray.training.run import TrainingRun

    plan = plan_of(manifest)
    group = next(g for g in plan.groups if g.arm.name == "majority")
    spec = group.spec(group.config, final=True)
    folder = RunStore(tmp_path).folder(spec.hash)
    assert TrainingRun(spec, folder).advance() is None
    own = pd.read_parquet(folder.path / "predictions.parquet")
    for other in (g for g in plan.groups if g.fold == group.fold):
        pd.testing.assert_frame_equal(majority_rows(plan.cohort, other), own)


def test_final_runs_that_can_never_be_count_too(manifest: Path, tmp_path: Path) -> None:
    """Where every trial of a search failed there is no setting to train anew; the arm has not vanished."""
    plan = plan_of(manifest, trials=1)
    run(plan, tmp_path / "lus", {"weighted/r0-f1/trial": ("failed", "planted")})
    ledger = table(tmp_path / "lus")
    imputed = ledger[ledger["imputed"]]
    assert set(imputed["arm"]) == {"weighted"} and set(imputed["fold"]) == {1}
    assert set(imputed["seed"]) == {0, 1} and set(imputed["run_hash"]) == {""}
    finals = table(tmp_path / "lus", "finals")
    assert finals[finals["state"] == "failed"]["error"].str.contains("no trial of its search").all()
    assert len(finals) == 12 and (finals["state"] == "failed").sum() == 2
    assert "" not in run_hashes(tmp_path / "lus"), "not the folder of all runs"


def test_a_final_run_that_has_not_ended_is_in_no_table(manifest: Path, tmp_path: Path) -> None:
    plan = plan_of(manifest)
    run(plan, tmp_path / "lus", {"mse/r0-f0": ("failed", "planted")}, at_most=5)
    assert table(tmp_path / "lus")["run_hash"].nunique() == len(table(tmp_path / "lus", "finals")) == 5


def test_the_report_tells_failed_from_missing_final_runs(manifest: Path, tmp_path: Path) -> None:
    plan, failing = plan_of(manifest), {"mse/r0-f0/final-s1": ("failed", "planted")}
    record(plan, tmp_path / "lus", [])
    run(plan, tmp_path / "lus", failing, at_most=9)
    (study,) = load_results([tmp_path / "lus"]).studies
    assert "9 of 12 final runs" in study.withheld
    run(plan, tmp_path / "lus", failing)
    (study,) = load_results([tmp_path / "lus"]).studies
    assert not study.withheld and study.runs["imputed_runs"].to_dict() == {
        "mse": 1, "weighted": 0, "majority": 0
    }  # fmt: skip
    assert failed_finals(study) == ["1 final run of MSE failed: planted."]


def test_pairs_of_scans_that_cannot_be_read_are_left_out(manifest: Path) -> None:
    whole = plan_of(manifest)
    patient = whole.folds[0].test[0]
    scans = whole.cohort.scans
    scan = scans.loc[scans["patient"] == patient, "scan"].iloc[0]
    bad = plan_of(manifest, bad_scans=(scan,))
    rows = [len(majority_rows(plan.cohort, plan.groups[0])) for plan in (whole, bad)]
    assert rows[1] == rows[0] - 1, "the patient's first visit is in one pair"


def test_permutations_of_the_labels_are_gathered_where_runs_made_some(manifest: Path, tmp_path: Path) -> None:
    plan = plan_of(manifest)
    runner = run(plan, tmp_path / "lus", {})
    assert not (tmp_path / "lus" / "permutations.parquet").exists()
    final = table(tmp_path / "lus", "finals").iloc[0]
    own = pd.DataFrame({"permutation": [1, 0], "n_00": [2, 3]})
    own.to_parquet(tmp_path / "runs" / final["run_hash"] / "permutations.parquet")
    write_tables(plan, runner, tmp_path / "lus")
    gathered = table(tmp_path / "lus", "permutations")
    assert gathered["permutation"].tolist() == [0, 1] and set(gathered["run_hash"]) == {final["run_hash"]}
    assert (
        gathered.loc[0, ["arm", "repeat", "fold", "seed"]].tolist()
        == final[["arm", "repeat", "fold", "seed"]].tolist()
    )


def combine(folder: Path, ledger: pd.DataFrame, arm: str) -> None:
    """Gives the runs of an arm the file that a version of today leaves."""
    for run_hash in ledger.loc[(ledger["arm"] == arm) & ~ledger["imputed"], "run_hash"].unique():
        own = pd.read_parquet(folder / "runs" / str(run_hash) / "predictions.parquet")
        own.assign(p_same=0.5, weight_own=1.0).to_parquet(folder / "runs" / str(run_hash) / FILE)


def test_runs_that_were_combined_with_the_earlier_score_have_rows_of_a_second_name(
    manifest: Path, tmp_path: Path
) -> None:
    plan, ends = plan_of(manifest), {"mse/r0-f0/final-s1": ("failed", "planted")}
    run(plan, tmp_path / "lus", ends)
    before = table(tmp_path / "lus")
    combine(tmp_path, before, "mse")
    combine(tmp_path, before[before["fold"] == 0], "weighted")  # the others are of an older version
    run(plan, tmp_path / "lus", ends)
    now = table(tmp_path / "lus")
    combined = now[now["arm"].str.endswith(WITH_EARLIER_SCORE)]
    assert set(combined["arm"]) == {"mse + earlier score", "weighted + earlier score"}
    whole = now["arm"].eq("mse") | (now["arm"].eq("weighted") & now["fold"].eq(0))
    own = now[whole].reset_index(drop=True)
    same = ["repeat", "fold", "seed", "run_hash", "pair", "imputed", "y_true", "interval_days"]
    pd.testing.assert_frame_equal(combined[same].reset_index(drop=True), own[same])
    assert (combined.loc[~combined["imputed"], "p_same"] == 0.5).all() and combined["imputed"].any()
    kept = now[~now["arm"].str.endswith(WITH_EARLIER_SCORE)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[list(before)], before, check_exact=True)


def test_age_sex_and_education_come_from_the_cohort_and_are_always_columns(
    manifest: Path, tmp_path: Path
) -> None:
    plan = plan_of(manifest)
    run(plan, tmp_path / "lus", {})
    ledger = table(tmp_path / "lus")
    assert ledger[["age", "education_years"]].isna().all(axis=None) and (ledger["sex"] == "").all()
    scans = plan.cohort.scans
    known = replace(plan.cohort, scans=scans.assign(age=60.0 + scans["order"], sex="F", education_years=12.0))
    run(replace(plan, cohort=known), tmp_path / "lus", {})
    now, pairs = table(tmp_path / "lus"), known.pairs()
    assert sorted(now["age"].unique()) == sorted(pairs["age"].unique()) and (now["sex"] == "F").all()
    pd.testing.assert_frame_equal(now.drop(columns=[*COVARIATES]), ledger.drop(columns=[*COVARIATES]))
