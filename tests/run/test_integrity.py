"""``complete`` is what a run's files prove."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from learner_ray.core.config import Config
from learner_ray.core.errors import StorageError
from learner_ray.run.folder import RunFolder, RunStore
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.study import ledger
from learner_ray.study.archive import unpack
from tests.study.small_study import run, runner, story

FINAL = RunSpec(
    config=Config().with_values({"train.epochs": 3}),
    patients=Patients(pretrain=("a", "b"), classifier=("c",), test=("d", "e")),
    source=Source(path="data", cohort_hash="1"),
)
OTHER = replace(FINAL, config=FINAL.config.with_values({"seed": 1}))


def final_run(root: Path, spec: RunSpec, seed: int = 0) -> RunFolder:
    """A complete final run of four pairs, whose files are as a real one leaves them."""
    folder = RunStore(root).folder(spec.hash)
    folder.write_spec(spec)
    rows = [{"epoch": n, "train/loss": 1.0, "seconds/train": 1.0, "seconds/evaluate": 0.0} for n in (1, 2, 3)]
    (folder.path / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    p = np.random.default_rng(seed).dirichlet(np.ones(3), size=4)
    y = np.array([0, 1, 2, 1])
    pairs = pd.DataFrame({"patient": list("ddee"), "pair": list("1234"), "y_true": y, "y_pred": p.argmax(1)})
    pairs[["p_worse", "p_same", "p_better"]] = p
    pairs.to_parquet(folder.path / "predictions.parquet")
    scores = pd.DataFrame({"patient": list("de"), "scan": list("12"), "score": 1.0, "predicted": 2.0 + seed})
    scores.to_parquet(folder.path / "scores.parquet")
    metrics = {"accuracy": float((p.argmax(1) == y).mean())}
    metrics["log_loss"] = float(-np.log(p[range(4), y]).mean())
    (folder.path / "metrics.json").write_text(json.dumps(metrics))
    (folder.path / "predictor.json").write_text(json.dumps({"run_hash": spec.hash}))
    (folder.path / "encoder.pt").write_bytes(os.urandom(1000))
    (folder.path / "error.txt").write_text("of a first try that failed")
    folder.finish("complete")
    return folder


@pytest.fixture
def final(tmp_path: Path) -> RunFolder:
    return final_run(tmp_path, FINAL)


@pytest.fixture
def other(tmp_path: Path) -> RunFolder:
    return final_run(tmp_path, OTHER, seed=1)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    """A bit of one byte: the size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def borrow(path: Path) -> None:
    """The same file of another run."""
    shutil.copy(path.parents[1] / OTHER.hash / path.name, path)


def text(said: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(said.encode() if isinstance(said, str) else said)


TABLES = [
    (name, damage)
    for name in ("predictions.parquet", "scores.parquet")
    for damage in (remove, truncate, flip, borrow)
]
DAMAGES = [
    *TABLES,
    *[("progress.jsonl", damage) for damage in (remove, truncate, flip)],
    *[("metrics.json", damage) for damage in (remove, truncate, borrow)],
    *[("predictor.json", damage) for damage in (remove, borrow)],
    *[("encoder.pt", damage) for damage in (remove, truncate)],
    *[("state.json", text(said)) for said in ("[]", "{}", "", '{"state": "done"}', b"\xff\x00", "[" * 9999)],
    *[("config.json", damage) for damage in (remove, borrow, flip, text("[]"), text(b"\xff\x00"))],
]  # fmt: skip


def test_a_whole_run_has_no_fault(final: RunFolder) -> None:
    assert final.fault(FINAL.hash) == final.fault(FINAL.hash, models=True) == ""
    assert final.state == {"state": "complete", "reason": ""}
    files = json.loads((final.path / "state.json").read_text())["files"]
    assert set(files) == {
        "encoder.pt", "metrics.json", "predictions.parquet", "predictor.json", "progress.jsonl",
        "scores.parquet",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_the_file_that_is_not_the_runs_own_is_named(
    final: RunFolder, other: RunFolder, name: str, damage: Callable[[Path], object]
) -> None:
    damage(final.path / name)
    assert name in final.fault(FINAL.hash)
    assert other.fault(OTHER.hash) == ""


def test_an_encoder_is_read_when_asked_alone(final: RunFolder) -> None:
    flip(final.path / "encoder.pt")
    assert final.fault(FINAL.hash) == ""
    assert "encoder.pt" in final.fault(FINAL.hash, models=True)


def test_what_no_number_comes_from_may_change(final: RunFolder) -> None:
    remove(final.path / "error.txt")
    assert final.fault(FINAL.hash) == ""


def test_a_run_without_an_end_has_no_fault(final: RunFolder) -> None:
    remove(final.path / "state.json")
    assert final.fault(FINAL.hash) == "" and final.state is None


def test_models_left_on_the_cluster_are_no_damage(final: RunFolder, tmp_path: Path) -> None:
    import tarfile

    with tarfile.open(tmp_path / "home.tar.gz", "w:gz") as tar:
        for path in final.path.iterdir():
            if path.suffix != ".pt" and not path.name.startswith("."):
                tar.add(path, f"runs/{FINAL.hash}/{path.name}")
    unpack(tmp_path / "home.tar.gz", tmp_path / "home")
    home = RunStore(tmp_path / "home").folder(FINAL.hash)
    assert home.fault(FINAL.hash) == ""
    remove(home.path / "scores.parquet")
    assert "scores.parquet" in home.fault(FINAL.hash)


def without_list(folder: RunFolder) -> None:
    """As commits 3590708 and f1da5e1 wrote it."""
    (folder.path / "state.json").write_text('{\n "reason": "",\n "state": "complete"\n}\n')


def test_a_run_of_before_there_were_lists_is_believed_if_it_can_be_read(final: RunFolder) -> None:
    without_list(final)
    assert final.fault(FINAL.hash) == ""


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (name, damage)
        for name, damage in DAMAGES
        if (name, damage) not in [("scores.parquet", borrow), ("encoder.pt", truncate)]
        and not (damage is flip and name.endswith(".parquet"))
    ],
)
def test_and_not_if_a_file_is_missing_damaged_or_foreign(
    final: RunFolder, other: RunFolder, name: str, damage: Callable[[Path], object]
) -> None:
    without_list(final)
    damage(final.path / name)
    assert final.fault(FINAL.hash)


def test_what_is_begun_anew_keeps_nothing_that_could_mislead(final: RunFolder) -> None:
    final.begin_anew(FINAL.hash)
    assert (final.path / "predictions.parquet").exists(), "whole runs are left alone"
    (final.path / "last.pt").write_bytes(b"old")
    truncate(final.path / "predictions.parquet")
    final.begin_anew(FINAL.hash)
    assert {path.name for path in final.path.iterdir()} == {"config.json", ".lock"}


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    victims=st.lists(st.integers(0, 31), min_size=1, max_size=3, unique=True),
    damages=st.lists(
        st.sampled_from(
            [("state.json", text("[]")), ("state.json", remove), ("progress.jsonl", truncate),
             ("progress.jsonl", remove), ("config.json", text("{}"))]
        ),
        min_size=3, max_size=3,
    ),
)  # fmt: skip
def test_damaged_runs_are_run_again_and_the_search_keeps_its_place(
    tmp_path_factory: pytest.TempPathFactory, victims: list[int], damages: list[tuple[str, Callable]]
) -> None:
    root = tmp_path_factory.mktemp("study")
    before = runner(root)
    run(before)
    hit = set()
    for victim, (name, damage) in zip(victims, damages, strict=False):
        outcome = sorted(before.outcomes, key=lambda o: o.planned.label)[victim]
        damage(before.store.folder(outcome.planned.spec.hash).path / name)
        # A trial owes the search nothing but its progress: where that is whole, its end is written again.
        if (name, damage) != ("state.json", remove) or outcome.planned.final or outcome.state != "complete":
            hit.add(outcome.planned.label)
    again = runner(root)
    assert {planned.label for planned in run(again)} == hit
    assert story(again) == story(before)


def test_what_is_run_again_is_said_in_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = runner(tmp_path)
    run(before)
    planned = before.outcomes[0].planned
    truncate(before.store.folder(planned.spec.hash).path / "progress.jsonl")
    runner(tmp_path).resume()
    said = "progress.jsonl is not the one that this run wrote; training it again"
    assert caplog.messages == [f"{planned.label}: {said}"]


@pytest.mark.parametrize("damage", [remove, truncate])
def test_a_table_that_goes_while_the_study_runs_is_no_empty_table(
    final: RunFolder, damage: Callable[[Path], object]
) -> None:
    path = final.path / "predictions.parquet"
    damage(path)
    with pytest.raises(StorageError, match=str(path)):
        ledger._read(path)
