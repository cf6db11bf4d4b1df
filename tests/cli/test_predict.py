"""A final run predicts scans it is given like its own test scans, and refuses what it was not trained on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from learner_ray.cohort import load
from learner_ray.core.numerics import NUMERICS
from learner_ray.predict import main
from learner_ray.run.folder import RunFolder
from learner_ray.training.prediction import given
from tests.training.test_run import FINAL, TRIAL, finish, spec

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("predict")]

PROBABILITIES = ["p_worse", "p_same", "p_better"]


@pytest.fixture(scope="module")
def run(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finish(spec(manifest, FINAL), tmp_path_factory.mktemp("final")).path


@pytest.fixture
def new_manifest(manifest: Path, tmp_path: Path) -> Path:
    """The test patients' scans alone, without scores."""
    for clip in manifest.parent.glob("*.mp4"):
        shutil.copy(clip, tmp_path)
    table = pd.read_csv(manifest)
    table = table[table["patient"].isin(FINAL.test)].drop(columns="score")
    table.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def predicted(run: Path, tmp_path: Path, *arguments: str | Path) -> pd.DataFrame:
    out = tmp_path / "predictions.csv"
    assert main([str(run), *map(str, arguments), "--out", str(out)]) == 0
    return pd.read_csv(out)


@pytest.mark.long
def test_a_run_of_other_numerics_predicts(run: Path, new_manifest: Path, tmp_path: Path) -> None:
    """A scan is evaluated as ever: numerics are about training. A change of evaluation needs another rule."""
    folder = RunFolder(shutil.copytree(run, tmp_path / "old"))
    (folder.path / "state.json").unlink()
    other = replace(folder.read_spec(), numerics=NUMERICS - 1, recorded_hash="")
    folder.write_spec(other)
    description = json.loads((folder.path / "predictor.json").read_text())
    (folder.path / "predictor.json").write_text(json.dumps({**description, "run_hash": other.hash}))
    folder.finish("complete")
    own, old = (predicted(path, tmp_path, "--manifest", new_manifest) for path in (run, folder.path))
    assert set(old.pop("run_hash")) == {other.hash} != set(own.pop("run_hash"))
    pd.testing.assert_frame_equal(own, old)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"train__precision": "float64"},
        pytest.param({"progression__input": "both", "progression__head": "logistic"}, marks=pytest.mark.long),
        {"loss__name": "none"},
    ],
)
def test_its_own_test_scans_get_the_recorded_numbers(
    values: dict[str, str], manifest: Path, new_manifest: Path, tmp_path: Path
) -> None:
    run = finish(spec(manifest, FINAL, **values), tmp_path / "run").path
    table = predicted(run, tmp_path, "--manifest", new_manifest)
    recorded, scores = (pd.read_parquet(run / f"{name}.parquet") for name in ("predictions", "scores"))
    hashed = load(manifest, modality="lus").pseudonym
    visits = table.dropna(subset="since").astype({"since": int, "visit": int})
    pairs = [f"{hashed(row.patient)}:{row.since}>{row.visit}" for row in visits.itertuples()]
    assert len(pairs) == len(recorded) == 9
    expected = recorded.set_index("pair").loc[pairs, [*PROBABILITIES, "interval_days"]]
    np.testing.assert_allclose(visits[expected.columns], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(sorted(table["predicted"]), sorted(scores["predicted"]), rtol=1e-6)


def test_scans_on_the_command_line_are_one_patients_visits(
    run: Path, manifest: Path, new_manifest: Path, tmp_path: Path
) -> None:
    clips = sorted(new_manifest.parent.glob("p9-*.mp4"))
    alone = predicted(run, tmp_path, *clips)
    among = predicted(run, tmp_path, "--manifest", new_manifest).query("patient == 'p9'")
    columns = ["visit", "since", "predicted", *PROBABILITIES, "decided"]
    pd.testing.assert_frame_equal(alone[columns], among[columns].reset_index(drop=True), rtol=1e-5)
    assert alone["since"].isna().tolist() == [True, False, False, False]


def test_rows_name_what_made_them_and_embeddings_stand_in_their_order(run: Path, new_manifest: Path) -> None:
    table = predicted(run, new_manifest.parent, "--manifest", new_manifest)
    embeddings = np.load(new_manifest.parent / "predictions.npy")
    description = json.loads((run / "predictor.json").read_text())
    assert set(table["run_hash"]) == {RunFolder(run).read_spec().hash}
    assert f"torch-{description['versions']['torch']}" in table["trained_with"][0]
    assert set(table["score"]) == {"S/F ratio"}
    assert embeddings.shape == (len(table), 512) and embeddings.dtype == np.float32
    last = predicted(run, new_manifest.parent, new_manifest.parent / table["scan"].iloc[-1])
    np.testing.assert_allclose(np.load(new_manifest.parent / "predictions.npy")[0], embeddings[-1], atol=1e-4)
    assert last["p_same"].isna().all()


def test_files_joined_by_commas_are_one_scan(run: Path, tmp_path: Path, capsys) -> None:
    scans = given(["x.png,y.png,z.png", "w.png"])
    assert scans["files"].tolist() == [("x.png", "y.png", "z.png"), ("w.png",)]
    assert "x.png,y.png,z.png is 3 x picture" in refusal(capsys, run, *scans["scan"])


def test_no_patient_is_named_in_what_a_run_keeps_for_prediction(run: Path) -> None:
    text = (run / "predictor.json").read_text()
    assert not any(f'"{patient}"' in text for patient in (*FINAL.pretrain, *FINAL.classifier, *FINAL.test))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error and "weights_only" not in error
    return error


def test_scans_of_another_kind_are_refused(
    run: Path, new_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "chest.png")
    (tmp_path / "head.nii.gz").touch()
    error = refusal(capsys, run, tmp_path / "p9-0.mp4", tmp_path / "chest.png", tmp_path / "head.nii.gz")
    assert "row 2" in error and "is picture" in error and "is volume" in error and "are video" in error
    assert "p9-0.mp4" not in error


def test_a_folder_that_is_no_series_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a folder, but not of MR slices alone" in refusal(capsys, run, tmp_path)


def test_a_manifest_of_another_modality_is_refused(
    run: Path, new_manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_manifest.with_name("new.score.json").write_text('{"modality": "echo"}')
    error = refusal(capsys, run, "--manifest", new_manifest)
    assert "modality echo" in error and "trained on lus" in error


def test_files_that_cannot_be_read_are_listed_and_may_be_left_out(
    run: Path, new_manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p9-1.mp4").write_bytes(b"no clip")
    clips = [tmp_path / name for name in ("p9-0.mp4", "p9-1.mp4", "absent.mp4", "p9-2.mp4")]
    error = refusal(capsys, run, *clips)
    assert "p9-1.mp4" in error and "absent.mp4" in error and "--skip-bad" in error
    table = predicted(run, tmp_path, *clips, "--skip-bad")
    assert table["visit"].tolist() == [1, 4] and table["since"].iloc[1] == 1


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: (run / "state.json").unlink(), "is unfinished"),
        (lambda run: (run / "state.json").write_text('{"state": "diverged"}'), "is diverged"),
        (lambda run: (run / "state.json").write_text("[]"), "state.json is damaged"),
        (lambda run: (run / "config.json").write_text("[]"), "config.json is damaged"),
        (lambda run: (run / "config.json").write_bytes(b"\xff\x00"), "config.json is damaged"),
        (lambda run: (run / "predictor.json").write_text("[]"), "is damaged"),
        (lambda run: (run / "predictor.json").unlink(), "learner_ray.train"),
        (lambda run: (run / "predictor.json").write_text("{"), "predictor.json is damaged"),
        (lambda run: (run / "predictor.json").write_text("[]"), "predictor.json is damaged"),
        (lambda run: (run / "predictor.json").write_bytes(b"\xff"), "predictor.json is damaged"),
        (lambda run: (run / "encoder.pt").write_bytes(b"\x80\x02]."), "is damaged"),
        (lambda run: (run / "encoder.pt").write_bytes((run / "encoder.pt").read_bytes()[:999]), "is damaged"),
        (lambda run: shutil.rmtree(run), "no run at"),
    ],
)
def test_what_is_no_complete_final_run_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil, words: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    spoil(copy)
    assert words in refusal(capsys, copy, tmp_path / "scan.mp4")


@pytest.mark.parametrize("arm", ["trial", "control"])
def test_trials_and_controls_without_an_encoder_are_refused(
    arm: str, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"train__epochs": 1} if arm == "trial" else {"progression__input": "earlier_score"}
    folder = finish(spec(manifest, TRIAL if arm == "trial" else FINAL, **values), tmp_path / "run")
    assert "column run_hash" in refusal(capsys, folder.path, tmp_path / "scan.mp4")


def test_the_encoder_of_another_run_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Though it fits."""
    import torch

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    weights = torch.load(copy / "encoder.pt", weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in weights.items()}, copy / "encoder.pt")
    assert "encoder.pt is not the one that this run wrote" in refusal(capsys, copy, tmp_path / "scan.mp4")


def test_a_pickle_that_carries_code_is_not_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    torch.save({"weights": Trap()}, copy / "encoder.pt")
    assert "holds more than tensors" in refusal(capsys, copy, tmp_path / "scan.mp4")
    assert not (tmp_path / "sprung").exists()


def test_a_run_of_cropped_scans_crops_new_ones_and_warns_of_whole_ones(
    manifest: Path, tmp_path: Path, capsys
) -> None:
    for clip in manifest.parent.glob("*.mp4"):
        shutil.copy(clip, tmp_path)
    table = pd.read_csv(manifest)
    table.assign(crop="4,0,44,48").to_csv(tmp_path / "cropped.csv", index=False)
    run = finish(spec(tmp_path / "cropped.csv", FINAL, train__epochs=1), tmp_path / "run").path
    new = table[table["patient"].isin(FINAL.test)].drop(columns="score")
    new.assign(crop="4,0,44,48").to_csv(tmp_path / "new.csv", index=False)
    recorded = pd.read_parquet(run / "scores.parquet")
    found = predicted(run, tmp_path, "--manifest", tmp_path / "new.csv")
    assert sorted(found["predicted"]) == pytest.approx(sorted(recorded["predicted"]), rel=1e-6)
    assert "trained on scans with a crop" not in capsys.readouterr().err
    new.to_csv(tmp_path / "whole.csv", index=False)
    predicted(run, tmp_path, "--manifest", tmp_path / "whole.csv")
    assert f"trained on scans with a crop; {len(new)} of these have none" in capsys.readouterr().err
