"""Fine-tuning starts where pretraining and fit ended, and lowers the loss of the pairs it is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.run.folder import RunFolder
from learner_ray.training.classifiers import LogisticClassifier, OrdinalClassifier
from learner_ray.training.data import open_data
from learner_ray.training.finetuning import LogisticHead, OrdinalHead
from learner_ray.training.predictor import Predictor
from learner_ray.training.pretraining import Pretraining
from learner_ray.training.progression import Progression
from learner_ray.training.run import TrainingRun
from tests.training.test_run import FINAL, finish, spec

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
BLOCKS = [RNG.normal(size=(40, 5)), RNG.normal(size=(40, 3))]


@pytest.mark.parametrize("classes", [3, 2])
def test_the_logistic_head_is_the_fitted_classifier(classes: int) -> None:
    y = RNG.integers(0, classes, 40) * (1 if classes == 3 else 2)
    fitted = LogisticClassifier.fit(BLOCKS, y, np.ones(40), 1.0)
    head = LogisticHead(fitted)
    p = head([torch.tensor(b) for b in BLOCKS]).exp().detach().numpy()
    np.testing.assert_allclose(p, fitted.predict(BLOCKS, 40), atol=1e-12)
    np.testing.assert_allclose(head.classifier().predict(BLOCKS, 40), p, atol=1e-12)


def test_the_ordinal_head_is_the_fitted_classifier() -> None:
    fitted = OrdinalClassifier.fit(BLOCKS, RNG.integers(0, 3, 40), np.ones(40), 1.0)
    head = OrdinalHead(fitted)
    p = head([torch.tensor(b) for b in BLOCKS]).exp().detach().numpy()
    np.testing.assert_allclose(p, fitted.predict(BLOCKS, 40), atol=1e-12)
    np.testing.assert_allclose(head.classifier().predict(BLOCKS, 40), p, atol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("head", ["logistic", pytest.param("ordinal", marks=pytest.mark.long)])
@pytest.mark.parametrize("epochs", [2, pytest.param(0, marks=pytest.mark.long)])
def test_the_pairs_it_was_given_are_fitted_better(manifest: Path, head: str, epochs: int) -> None:
    values = {"progression__head": head, "data__augment": 0.0, "train__epochs": epochs}
    run = spec(manifest, FINAL, **values, progression__finetune_epochs=8)
    data = open_data(run.source, PixelSettings(32))
    pretraining = Pretraining(run.config, data, FINAL.pretrain)
    for _ in range(epochs):
        pretraining.run_epoch()
    scans, pairs = data.of(FINAL.classifier), data.cohort.pairs()
    pairs = pairs[pairs["patient"].isin(FINAL.classifier)].reset_index(drop=True)

    def loss(progression: Progression) -> float:
        p = progression.predict(pairs, scans, pretraining.embed(FINAL.classifier))
        return float(-np.log(p[np.arange(len(p)), pairs["y"]]).mean())

    embedded = pretraining.embed(FINAL.classifier)
    fitted = Progression.fit(run.config.progression, pairs, scans, embedded, seed=0)
    before = loss(fitted)
    assert loss(pretraining.finetune(fitted, pairs)) < before - 0.01


@pytest.mark.long
def test_the_same_specification_gives_the_same_bits_and_a_predictor(manifest: Path, tmp_path: Path) -> None:
    run = spec(manifest, FINAL, progression__finetune_epochs=2)
    tables = [
        pd.read_parquet(finish(run, tmp_path / name).path / "predictions.parquet") for name in ("a", "b")
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    classifier = Predictor.load(tmp_path / "a").progression.classifier
    assert isinstance(classifier, LogisticClassifier)
    other = finish(spec(manifest, FINAL), tmp_path / "c")
    frozen = Predictor.load(other.path).progression.classifier
    assert isinstance(frozen, LogisticClassifier)
    assert not np.allclose(classifier.model.coef_, frozen.model.coef_)


def test_a_loss_that_is_no_number_ends_the_run_as_diverged(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(spec(manifest, FINAL, progression__finetune_epochs=1), RunFolder(tmp_path))
    monkeypatch.setattr(LogisticHead, "forward", lambda self, blocks: self.weight.sum() * float("nan"))
    monkeypatch.setattr("learner_ray.training.finetuning._loss", lambda p, y, w: p)
    while run.advance() is not None:
        pass
    assert RunFolder(tmp_path).state == {
        "state": "diverged", "reason": "the loss is nan in epoch 1 of the fine-tuning"
    }  # fmt: skip


def test_what_has_no_gradient_is_refused() -> None:
    for key, value in (("progression.head", "mlp"), ("progression.input", "score_difference")):
        with pytest.raises(UserError, match="finetune_epochs needs"):
            Config().with_values({"progression.finetune_epochs": 1, key: value})
