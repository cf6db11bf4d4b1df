"""The validity checks of a report."""

import json

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, make_permutations, make_results

from analysis.page.validity import checks
from analysis.results.load import load
from analysis.statistics.against_control import best_against_control
from analysis.statistics.metrics import METRICS
from analysis.statistics.sensitivity import thresholds
from analysis.statistics.study_statistics import study_statistics


def test_validity_sees_a_patient_tested_in_two_folds(tmp_path):
    folder = make_results(tmp_path / "lus")
    status = {c.name: c.status for c in checks(study_statistics(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "green"
    ledger = pd.read_parquet(folder / "ledger.parquet")
    first = ledger["pair"] == ledger["pair"].iloc[0]
    moved = ledger[first].assign(fold=ledger["fold"] + 1, pair="copy")
    pd.concat([ledger, moved]).to_parquet(folder / "ledger.parquet")
    status = {c.name: c.status for c in checks(study_statistics(load([folder]).studies[0], draws=100))}
    assert status["Test folds"] == "red"


@pytest.mark.parametrize(("allowed", "status"), [(False, "green"), (True, "amber"), (None, "not checked")])
def test_duplicate_scans_are_those_that_the_sweep_let_pass(tmp_path, allowed, status):
    """Seen: not checked, though study.json said that nothing was let pass."""
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    info |= {} if allowed is None else {"allow_duplicates": allowed}
    (folder / "study.json").write_text(json.dumps(info))
    statistics = study_statistics(load([folder]).studies[0], draws=100)
    assert {check.name: check.status for check in checks(statistics)}["Duplicate scans"] == status


@pytest.mark.parametrize("metric", ["accuracy", "class_mae"])
@pytest.mark.parametrize("better", [True, False])
def test_a_control_is_beaten_in_the_direction_of_the_metric(tmp_path, metric, better):
    """Seen: of errors, the arm with the most was the best, and a control with more had won."""
    folder = make_results(tmp_path / "lus", primary_metric=metric)
    info = json.loads((folder / "study.json").read_text())
    (control,) = (arm for arm in info["arms"] if arm["control"])
    control["edits"] = {"progression.input": "metadata"}
    (folder / "study.json").write_text(json.dumps(info))
    right = "weighted" if better else control["name"]  # an arm, or the control, that is always right
    change_ledger(
        folder,
        lambda ledger: ledger.assign(y_pred=ledger["y_pred"].where(ledger["arm"] != right, ledger["y_true"])),
    )
    statistics = study_statistics(load([folder]).studies[0], draws=500)
    status = {check.name: check.status for check in checks(statistics)}
    assert status["Metadata alone"] == ("green" if better else "red")


def checked(folder, draws=200):
    return {check.name: check for check in checks(study_statistics(load([folder]).studies[0], draws=draws))}


def with_control(folder, kind):
    """The study's control has this input."""
    info = json.loads((folder / "study.json").read_text())
    (control,) = (arm for arm in info["arms"] if arm["control"])
    control["edits"] = {"progression.input": kind}
    (folder / "study.json").write_text(json.dumps(info))


@pytest.mark.parametrize("kind", ["earlier_score", "metadata"])
def test_a_control_that_is_neither_beaten_nor_beats_cannot_be_told(tmp_path, kind):
    """Seen: green in 84-88 % of studies whose arms were equal to the control."""
    folder = make_results(tmp_path / "lus")
    with_control(folder, kind)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    as_good = ledger[ledger["arm"] == "mse"]["y_pred"].to_numpy()
    for arm in ("contrastive", "weighted", "majority"):
        ledger.loc[ledger["arm"] == arm, "y_pred"] = as_good
    ledger.to_parquet(folder / "ledger.parquet")
    name = {"earlier_score": "Earlier score alone", "metadata": "Metadata alone"}
    check = checked(folder)[name.pop(kind)]
    assert check.status == "amber" and "cannot be told" in check.found and "[" in check.found
    (other,) = name.values()
    missing = checked(folder)[other]
    assert missing.status == "amber" and "no such control" in missing.found
    assert ("regression to the mean" in missing.found) == (other == "Earlier score alone")


@pytest.mark.parametrize("kind", ["metadata", "covariates"])
def test_each_question_names_what_its_control_was_given(tmp_path, kind):
    """A control that sees age and sex as well answers what metadata do, and the check says so."""
    folder = make_results(tmp_path / "lus")
    with_control(folder, kind)
    assert "Age, sex and education" not in checked(folder), "nothing is known of them"
    odd = lambda ledger: ledger["patient"].str[-1].isin([*"13579"])  # noqa: E731
    known = lambda ledger: {  # noqa: E731
        "interval_days": 365.0, "site": np.where(odd(ledger), "A", "B"), "device": "x",
        "age": np.where(odd(ledger), 70.0, np.nan), "sex": "F",
    }  # fmt: skip
    change_ledger(folder, lambda ledger: ledger.assign(**known(ledger)))
    metadata, patients = (checked(folder)[name] for name in ("Metadata alone", "Age, sex and education"))
    assert metadata.status == "green"
    if kind == "metadata":
        sees = "sees site (interval and device: not known, or the same for all pairs)"
        assert metadata.looked_at.endswith(sees)
        assert patients.status == "amber" and "classes told from age, sex or education" in patients.found
    else:
        sees = "sees site and age (interval, device, sex and education: not known, or the same for all pairs)"
        alone = "the control with interval, site and device alone was not run"
        assert metadata.looked_at.endswith(f"{sees}; {alone}")
        assert patients.status == "green" and patients.looked_at.endswith(sees)


def test_the_more_arms_the_wider_is_the_interval_of_the_best(tmp_path):
    study = load([make_results(tmp_path / "lus")]).studies[0]
    ledger = study.compared[study.compared["arm"] != "weighted"]
    more = [ledger] + [
        ledger[ledger["arm"] == "mse"].assign(
            arm=f"mse{i}", y_pred=lambda rows, i=i: rows["y_pred"].sample(frac=1, random_state=i).to_numpy()
        )
        for i in range(4)
    ]
    arms = ["mse", *(f"mse{i}" for i in range(4))]
    found = [
        best_against_control(pd.concat(more), arms[:n], "majority", METRICS["accuracy"], draws=500)
        for n in (1, 5)
    ]
    assert found[0].best == found[1].best == "mse" and found[1].low < found[0].low < found[0].difference


@pytest.mark.parametrize(
    ("right", "leak", "status"), [(0.7, 0.0, "green"), (0.0, 0.0, "amber"), (0.7, 0.3, "red")]
)
def test_permuted_labels_are_at_chance_and_true_ones_above_or_it_is_said(tmp_path, right, leak, status):
    """Seen: red in 16-25 % of sound studies, whose folds each had a single permutation."""
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    info["arms"][3]["edits"] = {"progression.shuffle_labels": True}
    (folder / "study.json").write_text(json.dumps(info))
    assert checked(folder)["Label shuffle"].status == "not checked", "an older version permuted once"
    rows = make_permutations(folder, "majority", right=right, leak=leak)
    rows.to_parquet(folder / "permutations.parquet")
    assert checked(folder)["Label shuffle"].status == status
    rows[rows["fold"] > 0].to_parquet(folder / "permutations.parquet")
    assert checked(folder)["Label shuffle"].status == "not checked", "not of all its final runs"


@pytest.mark.parametrize(
    ("declared", "unit", "expected"),
    [(25, 1.5, [15, 25, 35]), (2, 1, [1, 2, 3]), (1, 1, [1, 2]), (0.5, 0.01, [0.3, 0.5, 0.7]), (0, 1, [])],
)
def test_thresholds_follow_the_unit_of_the_score(tmp_path, declared, unit, expected):
    """Seen: a threshold of 1 or less read as none."""
    folder = make_results(tmp_path / "lus")
    info = json.loads((folder / "study.json").read_text())
    info["cohort"]["score"]["change_threshold"] = declared
    (folder / "study.json").write_text(json.dumps(info))
    change_ledger(folder, lambda ledger: ledger.assign(change=(ledger["change"] / 10).round() * unit))
    assert thresholds(load([folder]).studies[0]) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["stays", "turns", "no difference"])
def test_a_difference_that_turns_with_the_threshold_is_red_and_a_weak_one_cannot_be_told(tmp_path, kind):
    """Seen: by the signs of differences, whatever their size."""
    folder = make_results(tmp_path / "lus")

    def called(ledger):
        small = ledger["change"].abs().between(15, 35)
        ledger["change"] = ledger["change"].mask(small, ledger["change"] * 0.1)  # none near a threshold
        if kind == "turns":  # the reference sees what is above 15, the arm what is above 35
            ledger["change"] = np.where(ledger["patient"] < "p0040", 30.0, 5.0)
            ledger["y_true"] = np.where(ledger["change"] >= 25, 2, 1)
            ledger["y_pred"] = np.where(ledger["arm"] == "mse", ledger["y_true"], 1)
        elif kind == "stays":
            ledger["y_pred"] = ledger["y_pred"].where(ledger["arm"] != "weighted", ledger["y_true"])
        else:
            ledger["y_pred"] = 1
        return ledger

    change_ledger(folder, called)
    found = checked(folder, 500)["Class threshold"]
    assert found.status == {"stays": "green", "turns": "red", "no difference": "amber"}[kind], found
    assert ("cannot be told" in found.found) == (kind == "no difference")


def write_patients(folder, run, **roles):
    path = folder.parent / "runs" / run
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"patients": roles}))


def test_a_trial_that_saw_a_patient_its_fold_tests_is_red(tmp_path):
    """Seen: trials were never read; and ids such as 1-12 and 11-2 were taken for one patient."""
    folder = make_results(tmp_path / "lus")
    finals = pd.read_parquet(folder / "ledger.parquet").drop_duplicates("run_hash")
    trials = pd.read_parquet(folder / "trials.parquet")
    for run, fold in zip(finals["run_hash"], finals["fold"], strict=True):
        write_patients(folder, run, pretrain=["1-12"], classifier=["1-12"], test=["11-2", f"fold {fold}"])
    assert checked(folder)["Patient disjointness"].status == "amber", "no trial can be read"
    for run in trials["run_hash"]:
        write_patients(folder, run, pretrain=["1-12"], classifier=["1-12"], validation=["2"])
    check = checked(folder)["Patient disjointness"]
    assert check.status == "green" and f"{len(trials)} trials" in check.looked_at
    run, fold = trials.iloc[-1][["run_hash", "fold"]]
    write_patients(folder, run, pretrain=["1-12"], classifier=["1-12"], validation=[f"FOLD-0{fold}"])
    check = checked(folder)["Patient disjointness"]
    assert check.status == "red" and f"trial {run}" in check.found
