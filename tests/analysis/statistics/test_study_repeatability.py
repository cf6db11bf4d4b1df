"""What of a study repeats, and why nothing is estimated where nothing does."""

import json

import numpy as np
import pandas as pd
import pytest
from make_results import change_ledger, fail_runs, make_results

from analysis.results.load import load
from analysis.statistics.study_repeatability import (
    embedding_retests,
    predicted_retests,
    score_retests,
    study_repeatability,
)

DRAWS = 100


def score_of(folder):
    return score_retests(load([folder]).studies[0], DRAWS)


def predicted_of(folder, arm="mse"):
    scans = load([folder]).studies[0].scores
    return predicted_retests(scans[scans["arm"] == arm], arm, DRAWS)


def embedding_of(folder, arm="mse"):
    study = load([folder]).studies[0]
    return embedding_retests(study, study.scores[study.scores["arm"] == arm], arm, DRAWS)


def tell(folder, **facts):
    info = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(info | facts))


def write_embeddings(folder, noise):
    """Clips of a visit share a direction, with noise."""
    scores, rng = pd.read_parquet(folder / "scores.parquet"), np.random.default_rng(0)
    for run, own in scores.groupby("run_hash"):
        visit = own.groupby(["patient", "visit"]).ngroup().to_numpy()
        vectors = rng.normal(size=(visit.max() + 1, 8))[visit] + noise * rng.normal(size=(len(own), 8))
        (folder.parent / "runs" / str(run)).mkdir(parents=True)
        table = own[["patient", "visit", "scan"]].astype({"visit": str})
        path = folder.parent / "runs" / str(run) / "embeddings.parquet"
        table.assign(embedding=list(vectors.astype(np.float32))).to_parquet(path)


def test_predicted_scores_repeat_as_planted(tmp_path):
    """Scores are uniform over 300 plus 30 at the second visit; predictions add noise of SD 80."""
    found = predicted_of(make_results(tmp_path / "lus"))
    assert found.patients == 60 and found.retests == 120
    assert found.found.sem[0] == pytest.approx(80, rel=0.05)
    between = 300**2 / 12 + 15**2
    assert found.found.icc[0] == pytest.approx(between / (between + 80**2), abs=0.06)
    assert found.found.mdc[0] == pytest.approx(1.96 * np.sqrt(2) * found.found.sem[0])


def test_visits_within_a_day_are_retests_of_the_score(tmp_path):
    folder = make_results(tmp_path / "lus")
    change_ledger(folder, lambda ledger: ledger.assign(interval_days=ledger["interval_days"] / 10))
    found = score_of(folder)
    pairs = load([folder]).studies[0].ledger.drop_duplicates(["patient", "pair"])
    close = pairs[pairs["interval_days"] < 1]
    assert found.retests == len(close)
    assert found.found.sem[0] == pytest.approx(np.sqrt((close["change"] ** 2).mean() / 2), rel=1e-3)
    tell(folder, retest_days=0.5)
    assert score_of(folder).retests == (pairs["interval_days"] < 0.5).sum()


def test_visits_a_day_apart_are_none(tmp_path):
    found = score_of(make_results(tmp_path / "lus"))
    assert found.found is None and found.why_not == "no visit repeats"


def test_ratings_of_single_scans_come_before_visits(tmp_path):
    folder, rng = make_results(tmp_path / "lus"), np.random.default_rng(0)
    true = np.repeat(rng.normal(2, 1, 30), 2)
    ratings = pd.DataFrame({"patient": [f"p{i // 2}" for i in range(60)], "visit": "L1",
                            "rating": true + 0.3 * rng.normal(size=60)})  # fmt: skip
    ratings.to_parquet(folder / "ratings.parquet")
    found = score_of(folder)
    assert found.retests == 30 and found.found.sem[0] == pytest.approx(0.3, rel=0.25)


def test_a_cohort_without_time_has_no_retests_of_the_score(tmp_path):
    folder = make_results(tmp_path / "lus")
    cohort = json.loads((folder / "study.json").read_text())["cohort"]
    tell(folder, cohort=cohort | {"temporal": False})
    assert score_of(folder).why_not == "the times of visits are not known"


@pytest.mark.parametrize("noise", [0.2, 2.0])
def test_embeddings_repeat_as_planted(tmp_path, noise):
    folder = make_results(tmp_path / "lus")
    write_embeddings(folder, noise)
    found = embedding_of(folder)
    assert found.found.icc[0] == pytest.approx(1 / (1 + noise**2), abs=0.05)
    assert "sem" not in found.row and found.row["icc_low"] < found.row["icc"] < found.row["icc_high"]


def test_embeddings_that_are_not_there_or_damaged_are_said(tmp_path):
    folder = make_results(tmp_path / "lus")
    why = "embeddings of final runs are not stored"
    assert embedding_of(folder).why_not == why
    write_embeddings(folder, 0.2)
    next((tmp_path / "runs").glob("mse-*/embeddings.parquet")).write_bytes(b"[]")
    assert embedding_of(folder).why_not == why
    assert embedding_of(folder, "contrastive").found


def test_one_clip_a_visit_and_few_patients_are_said(tmp_path):
    folder = make_results(tmp_path / "lus")
    scores = pd.read_parquet(folder / "scores.parquet")
    single = scores.drop_duplicates(["arm", "seed", "patient", "visit"])
    single.to_parquet(folder / "scores.parquet")
    assert predicted_of(folder).why_not == embedding_of(folder).why_not == "no visit repeats"
    some = scores[scores["patient"].isin(["p0000", "p0001", "p0002"])]
    pd.concat([single, some]).drop_duplicates(["arm", "seed", "scan"]).to_parquet(folder / "scores.parquet")
    few = predicted_of(folder)
    assert few.why_not == "visits repeat in 3 patients, fewer than 5" and few.retests == 6


def test_an_arm_whose_final_runs_failed_has_no_estimate(tmp_path):
    folder = make_results(tmp_path / "lus")
    fail_runs(folder, arm="mse", fold=0)
    found = study_repeatability(load([folder]).studies[0], DRAWS)
    assert {each.why_not for each in found if each.arm == "mse"} == {"final runs failed"}
    assert [each.arm for each in found if each.what == "embedding"] == ["mse", "contrastive", "weighted"]
