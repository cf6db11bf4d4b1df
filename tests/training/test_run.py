"""A run is decided by its specification: the same bits again, also when it was interrupted."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from learner_ray import train
from learner_ray.cli.train import compare
from learner_ray.cohort import load
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.core.numerics import NUMERICS
from learner_ray.run.folder import RunFolder
from learner_ray.run.progress import without_clock
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.training import run as run_module
from learner_ray.training.distributed import World
from learner_ray.training.label_permutations import PERMUTATIONS
from learner_ray.training.predictions import WEIGHTS, WITH_EARLIER_SCORE
from learner_ray.training.run import TrainingRun

pytestmark = pytest.mark.slow

SMALL = {
    "data.image_size": 32,
    "data.frames": 2,
    "train.epochs": 3,
    "train.batch_size": 8,
    "train.precision": "float32",
}
TRIAL = Patients(pretrain=("p0", "p1", "p2", "p3"), classifier=("p4", "p5", "p6"), validation=("p7", "p8"))
FINAL = Patients(pretrain=TRIAL.pretrain, classifier=TRIAL.classifier, test=("p9", "p10", "p11"))


def spec(manifest: Path, patients: Patients, **values: object) -> RunSpec:
    config = Config().with_values({**SMALL, **{k.replace("__", "."): v for k, v in values.items()}})
    source = Source(path=str(manifest), cohort_hash=load(manifest, modality="lus").hash)
    return RunSpec(config=config, patients=patients, source=source)


def finish(spec: RunSpec, folder: Path) -> RunFolder:
    """A whole run, in the world of this process."""
    run = TrainingRun(spec, RunFolder(folder), world=World.current())
    while run.advance() is not None:
        pass
    return RunFolder(folder)


def numbers(folder: RunFolder) -> list[dict[str, object]]:
    return [without_clock(row) for row in folder.progress()]


def test_a_run_of_other_numerics_is_not_trained(manifest: Path, tmp_path: Path) -> None:
    other = replace(spec(manifest, TRIAL), numerics=NUMERICS - 1)
    RunFolder(tmp_path).write_spec(other)
    with pytest.raises(UserError, match=f"numerics {NUMERICS - 1}"):
        TrainingRun(other, RunFolder(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_trial_reports_every_epoch_and_tests_nobody(manifest: Path, tmp_path: Path) -> None:
    folder = finish(spec(manifest, TRIAL), tmp_path)
    assert folder.state == {"state": "complete", "reason": ""}
    assert [row["epoch"] for row in folder.progress()] == [1, 2, 3]
    assert all(row["train/gradient_ratio"] == 0 for row in folder.progress()), "MSE has no contrastive term"
    assert all(row["selection_score"] == row["validation/kappa"] for row in folder.progress())
    assert not (tmp_path / "predictions.parquet").exists()


def test_a_search_may_go_by_the_log_loss(manifest: Path, tmp_path: Path) -> None:
    folder = finish(spec(manifest, TRIAL, progression__judged_by="log_loss"), tmp_path)
    assert all(row["selection_score"] == -row["validation/log_loss"] for row in folder.progress())


def test_a_final_run_predicts_its_test_patients_alone(manifest: Path, tmp_path: Path) -> None:
    folder = finish(spec(manifest, FINAL), tmp_path)
    pairs = pd.read_parquet(folder.path / "predictions.parquet")
    scores = pd.read_parquet(folder.path / "scores.parquet")
    assert len(pairs) == 3 * 3 and pairs["patient"].nunique() == 3
    assert len(scores) == 3 * 4
    embeddings = pd.read_parquet(folder.path / "embeddings.parquet")
    assert embeddings[["patient", "visit", "scan"]].equals(scores[["patient", "visit", "scan"]])
    assert {(len(vector), vector.dtype.name) for vector in embeddings["embedding"]} == {(512, "float32")}
    combined = pd.read_parquet(folder.path / WITH_EARLIER_SCORE)
    same = ["patient", "pair", "y_true", "score_earlier", "pred_later", "distance"]
    pd.testing.assert_frame_equal(combined[same], pairs[same])
    assert (combined[[*WEIGHTS]].nunique() == 1).all() and (combined[[*WEIGHTS]] >= 0).all(axis=None)
    assert not any(name in pairs.to_csv() for name in ("p9:", "p10", "p11"))  # hashed
    assert pairs[["p_worse", "p_same", "p_better"]].sum(axis=1).to_numpy() == pytest.approx(1)


def test_the_same_specification_gives_the_same_bits(manifest: Path, tmp_path: Path) -> None:
    first = finish(spec(manifest, FINAL), tmp_path / "a")
    torch.rand(7)  # what went before in the process does not matter
    second = finish(spec(manifest, FINAL), tmp_path / "b")
    assert numbers(first) == numbers(second)
    for name in ("predictions.parquet", "scores.parquet", "metrics.json", WITH_EARLIER_SCORE):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


def test_a_killed_run_goes_on_to_the_same_bits(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    trial = spec(manifest, TRIAL, loss__name="contrastive", loss__weighting="balanced")  # has running means
    whole = finish(trial, tmp_path / "whole")
    killed = TrainingRun(trial, RunFolder(tmp_path / "cut"))
    killed.advance()
    killed.advance()
    resumed = TrainingRun(trial, RunFolder(tmp_path / "cut"))
    assert resumed.last_row is not None and resumed.last_row["epoch"] == 2
    assert numbers(finish(trial, tmp_path / "cut")) == numbers(whole)
    assert not (tmp_path / "cut" / "last.pt").exists()


@pytest.mark.parametrize(
    "damage",
    [pytest.param(d, marks=pytest.mark.long) for d in ("random", "cut", "ahead of progress.jsonl")]
    + ["flipped", "another run's"],
)
def test_a_checkpoint_that_cannot_be_used_is_dropped_and_the_run_begins_anew(
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    short = spec(manifest, TRIAL, train__epochs=2)
    folder = RunFolder(tmp_path / "cut")
    TrainingRun(short, folder).advance()
    content = folder.checkpoint.read_bytes()
    middle = len(content) // 2
    if damage == "another run's":
        other = RunFolder(tmp_path / "other")
        TrainingRun(spec(manifest, TRIAL, train__epochs=2, seed=1), other).advance()
        content = other.checkpoint.read_bytes()
    elif damage == "ahead of progress.jsonl":
        (folder.path / "progress.jsonl").write_text("[]\n")
    else:
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        content = {"random": os.urandom(5000), "cut": content[:-300], "flipped": flipped}[damage]
    folder.checkpoint.write_bytes(content)
    run = TrainingRun(short, folder)
    assert run.last_row is None and not folder.checkpoint.exists()
    row = run.advance()
    assert row is not None and row["epoch"] == 1 and row["note"].startswith("last.pt was removed")
    assert "starts from the beginning" in caplog.text and "weights_only" not in caplog.text
    assert "note" not in folder.progress()[0]


def test_a_checkpoint_of_before_it_was_named_is_taken_up(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", 0.0)
    folder = RunFolder(tmp_path)
    TrainingRun(spec(manifest, TRIAL), folder).advance()
    state = torch.load(folder.checkpoint, weights_only=True)
    torch.save({key: value for key, value in state.items() if key != "run_hash"}, folder.checkpoint)
    run = TrainingRun(spec(manifest, TRIAL), folder)
    assert run.last_row is not None and run.last_row["epoch"] == 1


@pytest.mark.long
def test_a_final_run_stops_at_the_epoch_it_was_given(manifest: Path, tmp_path: Path) -> None:
    """And has by then the weights that the whole schedule had at that epoch."""
    whole = finish(spec(manifest, FINAL), tmp_path / "whole")
    short = finish(spec(manifest, FINAL, train__stop_epoch=2), tmp_path / "short")
    assert numbers(short) == numbers(whole)[:2]


def test_a_loss_that_is_no_number_ends_the_run_as_diverged(manifest: Path, tmp_path: Path) -> None:
    folder = finish(spec(manifest, TRIAL, train__optimizer="sgd", train__lr=1e30), tmp_path)
    assert folder.state is not None and folder.state["state"] == "diverged"
    assert "epoch" in folder.state["reason"]


@pytest.mark.parametrize("arm", ["earlier_score", "nothing", "metadata", "covariates"])
def test_controls_without_an_encoder_fill_the_same_rows(manifest: Path, tmp_path: Path, arm: str) -> None:
    patients = replace(FINAL, pretrain=())
    folder = finish(spec(manifest, patients, progression__input=arm), tmp_path)
    pairs = pd.read_parquet(folder.path / "predictions.parquet")
    assert len(pairs) == 9 and pairs["distance"].isna().all()
    assert not (folder.path / "scores.parquet").exists()
    assert (folder.path / WITH_EARLIER_SCORE).exists() == (arm in ("metadata", "covariates"))


@pytest.mark.long
def test_train_repeats_a_recorded_run(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(spec(manifest, FINAL), tmp_path / "run")
    assert train.main([str(tmp_path / "run" / "config.json")]) == 0
    assert "bit for bit" in capsys.readouterr().out
    # Of a version that did not combine runs with the earlier score nothing more is asked.
    old = RunFolder(shutil.copytree(folder.path, tmp_path / "old"))
    (old.path / WITH_EARLIER_SCORE).unlink()
    assert compare(old, folder) == 0
    (folder.path / WITH_EARLIER_SCORE).write_bytes(b"other")
    assert compare(RunFolder(tmp_path / "run"), old) == 1


def test_train_says_that_a_record_is_not_what_the_run_left(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(spec(manifest, FINAL, train__epochs=1), tmp_path / "run")
    (folder.path / "state.json").write_text("[]")
    assert train.main([str(tmp_path / "run" / "config.json")]) == 1
    assert "state.json is damaged" in capsys.readouterr().err


@pytest.mark.long
def test_train_says_where_a_record_differs(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(spec(manifest, FINAL), tmp_path / "run")
    table = pd.read_parquet(folder.path / "predictions.parquet")
    table.assign(p_same=0.5).to_parquet(folder.path / "predictions.parquet")
    assert train.main([str(tmp_path / "run" / "config.json")]) == 1
    assert "differs from the record in predictions.parquet" in capsys.readouterr().out


@pytest.mark.long
def test_shuffled_labels_are_permuted_many_times_and_change_no_other_file(
    manifest: Path, tmp_path: Path
) -> None:
    shuffled = finish(spec(manifest, FINAL, progression__shuffle_labels=True), tmp_path / "shuffled")
    plain = finish(spec(manifest, FINAL), tmp_path / "plain")
    counts = pd.read_parquet(shuffled.path / "permutations.parquet")
    assert len(counts) == PERMUTATIONS + 1 and not (plain.path / "permutations.parquet").exists()
    pairs = pd.read_parquet(plain.path / "predictions.parquet")
    right = counts.loc[0, ["n_00", "n_11", "n_22"]].sum()
    assert right == (pairs["y_true"] == pairs["y_pred"]).sum(), "the first row is that of the true labels"
    assert not shuffled.fault(spec(manifest, FINAL, progression__shuffle_labels=True).hash)
    assert (shuffled.path / "scores.parquet").read_bytes() == (plain.path / "scores.parquet").read_bytes()
