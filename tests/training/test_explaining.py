"""A map lies where the lesion is; right and wrong pairs are drawn, by the command that a user types."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from learner_ray.core.errors import UserError
from learner_ray.imaging.overlay import overlay
from learner_ray.training import explaining
from learner_ray.training.data import Data, open_data
from learner_ray.training.explaining import PairResponse, chosen
from learner_ray.training.integrated_gradients import blurred, integrated_gradients, window_side
from learner_ray.training.predictions import hidden_pairs
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import clip_pairs

SIZE = 32


def test_right_and_wrong_pairs_are_drawn_the_most_certain_ones() -> None:
    true, decided = np.array([0, 0, 0, 2, 2, 1]), np.array([0, 0, 1, 2, 0, 1])
    certain = np.array([0.5, 0.8, 0.6, 0.4, 0.7, 0.9])
    probabilities = np.full((6, 3), 0.1)
    probabilities[np.arange(6), decided] = certain
    assert chosen(true, decided, probabilities) == [1, 5, 3, 2, 4, 0]


def test_far_errors_come_before_more_certain_near_ones() -> None:
    true, decided = np.array([0, 0, 0]), np.array([1, 2, 1])
    probabilities = np.array([[0.05, 0.9, 0.05], [0.2, 0.3, 0.5], [0.2, 0.7, 0.1]])
    assert chosen(true, decided, probabilities) == [1, 0, 2]


def test_an_overlay_is_grey_at_zero_green_above_and_orange_below() -> None:
    frame = np.full((1, 3), 100, np.uint8)
    grey, green, orange = overlay(frame, np.array([[0.0, 2.0, -1.0]]), 2.0)[0].astype(int)
    assert grey.tolist() == [100, 100, 100]
    assert green[1] > green[0] and orange[0] > orange[1] and green[1] - 100 > 0
    assert overlay(frame, np.zeros((1, 3)), 0.0).max() == 100, "a map of zeros"


def write_lesions(folder: Path, rng: np.random.Generator) -> Path:
    """12 patients with 4 visits, a picture of noise each, with a lesion as bright as the patient is well."""
    lines = ["path,patient,visit,score"]
    for patient in range(12):
        for visit in range(4):
            score = int(rng.integers(150, 450))
            picture = rng.normal(60, 8, (SIZE, SIZE))
            picture[6:12, 6:12] += (score - 150) / 2
            Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(
                folder / f"p{patient}-{visit}.png"
            )
            lines.append(f"p{patient}-{visit}.png,p{patient},{visit},{score}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


@pytest.mark.slow
def test_pictures_of_an_earlier_call_are_never_told_of_as_this_one_s(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: after Ctrl-C the list told of the earlier run's pictures, of which some were the later run's."""
    from tests.training.test_run import FINAL, finish, spec

    run = spec(manifest, FINAL, train__epochs=1)
    predictor = Predictor.load(finish(run, tmp_path / "run").path)
    data, out = open_data(run.source, run.config.data.pixels), tmp_path / "explanations"
    monkeypatch.setattr(explaining, "integrated_gradients", lambda clip, slopes: torch.zeros_like(clip))
    found = explaining.explain(predictor, data, out, 6)
    assert len(found) > 1 and {each.pair for each in found} <= {*ledger_names(predictor, data)}
    assert sorted(path.name for path in out.glob("*.png")) == [each.file for each in found]
    explaining.explain(predictor, data, out, 1)
    assert [path.name for path in out.glob("*.png")] == ["pair-1.png"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(explaining, "integrated_gradients", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explaining.explain(predictor, data, out, 6)
    assert not (out / explaining.INDEX).exists()


@pytest.mark.slow
@pytest.mark.parametrize("inputs", ["difference", "both", "score_difference"])
def test_what_pixels_add_is_the_change_of_the_prediction(manifest: Path, tmp_path: Path, inputs: str) -> None:
    """From the blurred scan to the scan, through network and classifier. With more steps than a map takes:
    the run has hardly been trained, and there is little to explain."""
    from tests.training.test_run import FINAL, finish, spec

    run = spec(manifest, FINAL, train__epochs=1, progression__input=inputs, train__precision="float32")
    predictor = Predictor.load(finish(run, tmp_path / "run").path)
    data = open_data(run.source, run.config.data.pixels)
    pairs = data.pairs(run.patients.test)
    pair, embedded = pairs.iloc[[0]].reset_index(drop=True), predictor.embed(data)
    clips = clip_pairs(pair, data.of([pair["patient"][0]])).iloc[:1]
    (clip,) = data.batches([str(clips["later"].iloc[0])], run.config.data.frames, "cpu", 1)
    response = PairResponse(predictor, pair, clips, embedded, "later")

    def predicted(one: torch.Tensor) -> float:
        found = predictor.embed_clips(["one"], one[None])
        return float(response(found.embeddings["one"][None], np.array([found.predictions["one"]]))[0])

    slopes = partial(predictor.slopes, by_output=response.slopes)
    added = float(integrated_gradients(clip[0], slopes, steps=64).sum())
    expected = predicted(clip[0]) - predicted(blurred(clip[0], window_side(clip)))
    assert abs(expected) > 1e-3, "nothing to explain"
    assert added == pytest.approx(expected, rel=0.05, abs=1e-3)


@pytest.mark.slow
def test_an_encoder_may_change_its_input_in_place_but_must_have_gradients(
    manifest: Path, tmp_path: Path
) -> None:
    from tests.training.test_run import FINAL, finish, spec

    run = spec(manifest, FINAL, train__epochs=1, train__precision="float32")
    predictor = Predictor.load(finish(run, tmp_path / "run").path)
    encoder = predictor.exported[0].encoder
    forward, clip = encoder.forward, torch.rand(1, run.config.data.frames, SIZE, SIZE)

    def slopes() -> torch.Tensor:
        return predictor.slopes(clip, lambda e, s: (np.ones(e.shape), np.zeros(s.shape)))

    expected = slopes()
    encoder.forward = lambda x: forward(x.mul_(1.0))
    torch.testing.assert_close(slopes(), expected)
    encoder.forward = torch.no_grad()(forward)
    with pytest.raises(UserError, match="computes without gradients"):
        slopes()


def ledger_names(predictor: Predictor, data: Data) -> list[str]:
    return hidden_pairs(data.cohort, data.pairs(predictor.spec.patients.test))


@pytest.mark.long
def test_a_trained_network_is_explained_by_the_lesion_whose_place_is_known(tmp_path: Path, capsys) -> None:
    from learner_ray.cli.main import main
    from tests.training.test_run import FINAL, finish, spec

    manifest = write_lesions(tmp_path, np.random.default_rng(0))
    wanted = {"data__frames": 1, "train__epochs": 12, "train__lr": 2e-3, "data__augment": 0.5}
    run = spec(manifest, FINAL, encoder__shift_fraction=0.0, encoder__norm="group", **wanted)
    study = tmp_path / "results" / "lesions"
    finish(run, study.parent / "runs" / run.hash)
    study.mkdir()
    keys = ("study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "arms", "space")
    (study / "study.json").write_text(json.dumps(dict.fromkeys(keys, 1)))
    row = {"run_hash": run.hash, "imputed": False, "distance": 0.1}
    pd.DataFrame([row, {**row, "run_hash": "control", "distance": np.nan}]).to_parquet(
        study / "ledger.parquet"
    )

    assert main(["explain", str(study), "--pairs", "4"]) == 0
    assert "pair-1.png" in capsys.readouterr().out
    index = json.loads((study / "explanations" / "explanations.json").read_text())
    assert index["run_hash"] == run.hash and 0 < len(index["pictures"]) <= 4
    lesion, elsewhere = [], []
    for picture in index["pictures"]:
        pixels = np.asarray(Image.open(study / "explanations" / picture["file"])).astype(int)
        for panel in (1, 3):
            colour = np.ptp(pixels[:, panel * 264 : panel * 264 + 256], axis=2)[::8, ::8]
            lesion.append(colour[5:13, 5:13].mean())
            elsewhere.append((colour.sum() - colour[5:13, 5:13].sum()) / (SIZE**2 - 64))
    assert np.mean(lesion) > 3 * np.mean(elsewhere), (np.mean(lesion), np.mean(elsewhere))

    assert main(["explain", str(study), "--run", "control"]) == 2
    assert "--run control is no final run" in capsys.readouterr().err
