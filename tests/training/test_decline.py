"""A run whose endpoint is decline: two classes from the fit to the files, and nothing of a third."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from learner_ray.cohort import load
from learner_ray.core.config import ProgressionConfig
from learner_ray.core.errors import UserError
from learner_ray.run.external_files import PAIRS, external_key, external_table
from learner_ray.training.external import predict_externally
from learner_ray.training.metrics import progression_metrics
from learner_ray.training.prediction import listed, predict
from learner_ray.training.predictions import WITH_EARLIER_SCORE
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import Embedded, Progression, true_classes
from tests.training.test_run import FINAL, TRIAL, finish, spec

DECLINE = {"progression__endpoint": "decline"}


def test_a_classifier_that_orders_three_classes_is_refused() -> None:
    with pytest.raises(UserError, match="needs logistic or mlp"):
        ProgressionConfig(endpoint="decline", head="ordinal")


def test_metrics_are_those_of_two_classes() -> None:
    rng = np.random.default_rng(0)
    y, decided, p = rng.integers(0, 2, 40), rng.integers(0, 2, 40), rng.uniform(0.1, 0.9, 40)
    found = progression_metrics(y, np.stack([p, 1 - p], axis=1), decided)
    assert found["macro_f1"] == pytest.approx(sk.f1_score(y, decided, average="macro"))
    assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(y, decided))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y == 0, p))


@pytest.mark.parametrize("head", ["logistic", "mlp"])
def test_the_classifier_has_the_probabilities_of_worse_and_not_worse(head: str) -> None:
    rng = np.random.default_rng(0)
    names = np.array([f"p{i}" for i in range(60)])
    pairs = pd.DataFrame({"patient": names, "earlier": "1", "later": "2", "y": rng.integers(0, 3, 60)})
    scans = pd.DataFrame(
        [(f"{n}-{v}", n, v, "") for n in names for v in "12"], columns=["scan", "patient", "visit", "view"]
    )
    change = {f"{n}-2": float(y) for n, y in zip(names, pairs["y"], strict=True)}
    embedded = Embedded({s: np.array([change.get(s, 0.0), 1.0]) for s in scans["scan"]}, {})
    config = ProgressionConfig(endpoint="decline", head=head)  # type: ignore[arg-type]
    fitted = Progression.fit(config, pairs, scans, embedded, seed=0)
    restored = Progression.restore(fitted.state())
    probabilities = restored.predict(pairs, scans, embedded)
    assert probabilities.shape == (60, 2) and probabilities.sum(1) == pytest.approx(1)
    assert sk.roc_auc_score(true_classes(config, pairs) == 0, probabilities[:, 0]) > 0.9
    shares = np.bincount(np.minimum(pairs["y"], 1), minlength=2)
    assert fitted.prior == pytest.approx((shares + 1) / 62)


@pytest.mark.slow
def test_a_final_run_writes_worse_and_not_worse(manifest: Path, tmp_path: Path) -> None:
    asked = spec(manifest, FINAL, train__epochs=1, **DECLINE)
    folder = finish(asked, tmp_path)
    names = ("predictions.parquet", WITH_EARLIER_SCORE)
    pairs, both = (pd.read_parquet(folder.path / name) for name in names)
    threshold = load(manifest, modality="lus").score.change_threshold
    assert pairs["y_true"].tolist() == (pairs["change"] > -threshold).astype(int).tolist()
    assert pairs["y_true"].nunique() == 2
    for table in (pairs, both):
        assert set(table["y_pred"]) <= {0, 1} and table["p_worse"].between(0.001, 0.999).all()
        assert table[["p_same", "p_better"]].isna().all(axis=None)
    written = json.loads((folder.path / "metrics.json").read_text())
    assert written["accuracy"] == pytest.approx((pairs["y_true"] == pairs["y_pred"]).mean())
    assert written["log_loss"] == pytest.approx(sk.log_loss(pairs["y_true"] == 0, pairs["p_worse"]))
    assert not folder.fault(asked.hash)


@pytest.mark.long
def test_permuted_labels_are_of_two_classes(manifest: Path, tmp_path: Path) -> None:
    asked = spec(manifest, FINAL, train__epochs=1, progression__shuffle_labels=True, **DECLINE)
    folder = finish(asked, tmp_path)
    counts = pd.read_parquet(folder.path / "permutations.parquet")
    assert not counts[["n_02", "n_12", "n_20", "n_21", "n_22"]].any(axis=None)
    assert (counts[["n_00", "n_01", "n_10", "n_11"]].sum(axis=1) == 9).all()


@pytest.mark.slow
def test_a_trial_is_scored_and_a_control_filled_by_two_classes(manifest: Path, tmp_path: Path) -> None:
    trial = finish(spec(manifest, TRIAL, train__epochs=1, **DECLINE), tmp_path / "trial")
    (row,) = trial.progress()
    assert row["selection_score"] == row["validation/kappa"]
    patients = replace(FINAL, pretrain=())
    majority = {"progression__input": "nothing", "progression__decision": "argmax"}
    control = finish(spec(manifest, patients, **majority, **DECLINE), tmp_path / "control")
    pairs = pd.read_parquet(control.path / "predictions.parquet")
    assert pairs["y_pred"].nunique() == 1 and set(pairs["y_pred"]) <= {0, 1}


@pytest.mark.slow
def test_predict_and_an_external_cohort_follow(manifest: Path, tmp_path: Path) -> None:
    asked = spec(manifest, FINAL, train__epochs=1, **DECLINE)
    folder = finish(asked, tmp_path / "run")
    predictor = Predictor.load(folder.path)
    table, _ = predict(predictor, listed(manifest, predictor.modality))
    known = table.dropna(subset=["p_worse"])
    assert (known["p_worse"] + known["p_not_worse"]).to_numpy() == pytest.approx(1)
    assert set(known["decided"]) <= {"worse", "not worse"} and "p_same" not in table
    predict_externally(folder, asked.source)
    external = pd.read_parquet(external_table(folder, external_key(asked.source), PAIRS))
    assert set(external["y_true"]) == {0, 1} and external["p_same"].isna().all()
