"""Derived studies: factorials, and arms at the setting that a search chose for its winner."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from learner_ray.cli.options import parse_factors
from learner_ray.core.config import Config
from learner_ray.core.errors import UserError
from learner_ray.study.designs import around, compute_matched, factorial, read_winner
from learner_ray.study.inputs import read_request
from learner_ray.study.options import SweepOptions
from learner_ray.study.plan import config_of
from learner_ray.study.study import Arm, Study
from learner_ray.study.study_file import load_study

STUDY = load_study("lus")
FACTORS = parse_factors(["loss.margin=0.1,0.4", "loss.weighted=false,true", "encoder.shift_fraction=0,0.25"])


def test_a_full_factorial_has_every_combination_once() -> None:
    study = factorial(STUDY, STUDY.arm("contrastive"), FACTORS)
    configs = [study.base.with_values(dict(arm.edits)) for arm in study.arms]
    levels = {(c.loss.margin, c.loss.weighted, c.encoder.shift_fraction) for c in configs}
    assert len(study.arms) == len(levels) == 8
    assert all(c.loss.name == "contrastive" for c in configs)
    reference = study.base.with_values(dict(study.arm(study.reference).edits))
    assert (reference.loss.margin, reference.loss.weighted) == (0.1, False)


def test_a_half_factorial_is_balanced_and_holds_the_reference() -> None:
    whole = factorial(STUDY, STUDY.arm("contrastive"), FACTORS)
    half = factorial(STUDY, STUDY.arm("contrastive"), FACTORS, half=True)
    assert len(half.arms) == 4 and half.reference == whole.reference
    for key in FACTORS:
        values = [arm.edits[key] for arm in half.arms]
        assert sorted(map(values.count, values)) == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["loss.margin=0.1"], "KEY=LOW,HIGH"),
        (["loss.margin=0.1,0.4"], "at least 2"),
        (["loss.margin=0.1,0.1", "train.lr=0.1,0.2"], "both levels are 0.1"),
        (["loss.margin=0.1,x", "train.lr=0.1,0.2"], "must be a number"),
        (["loss.nothing=0.1,0.2", "train.lr=0.1,0.2"], "unknown configuration key"),
    ],
)
def test_faults_are_named(texts: list[str], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        factorial(STUDY, STUDY.arm("contrastive"), parse_factors(texts))


def write_study(folder: Path, scores: dict[str, list[float]]) -> Path:
    """A searched study of two folds; trial i of an arm has the selection score given, the same in both
    folds."""
    rows = [
        {"arm": arm, "repeat": 0, "fold": fold, "trial": i, "state": "complete", "selection_score": value,
         "best_epoch": 5 + fold, "config.train.lr": 1e-3 * (i + 1)}
        for arm, values in scores.items() for fold in (0, 1) for i, value in enumerate(values)
    ]  # fmt: skip
    # The best of all was stopped, so it cannot be chosen.
    rows.append({**rows[0], "trial": 9, "state": "stopped", "selection_score": 0.0})
    folder.mkdir()
    pd.DataFrame(rows).to_parquet(folder / "trials.parquet")
    arms = [{"name": arm, "searched": ["train.lr"], "control": False} for arm in scores]
    arms.append({"name": "majority", "searched": [], "control": True})
    info = {"study": "lus", "arms": arms, "space": {}, "cohort_hash": "c", "split_hash": "s"}
    info |= {"folds": 2, "repeats": 1, "trials": 2, "seeds": 1}
    (folder / "study.json").write_text(json.dumps(info))
    return folder


def test_the_winner_is_chosen_on_validation_and_keeps_each_folds_values(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "lus", {"mse": [-1.0, -0.9], "weighted": [-0.8, -0.8]})
    winner = read_winner(folder)
    assert winner.arm == "weighted" and winner.arms == ("mse", "weighted", "majority")
    assert winner.settings == {(0, f): {"train.lr": 1e-3, "train.stop_epoch": 5 + f} for f in (0, 1)}
    assert read_winner(folder, "mse").settings[0, 0]["train.lr"] == 2e-3
    with pytest.raises(UserError, match="no complete search of arm 'majority'"):
        read_winner(folder, "majority")
    with pytest.raises(UserError, match="holds no searched study"):
        read_winner(tmp_path)


def test_one_factor_is_taken_out_or_put_in(tmp_path: Path) -> None:
    winner = read_winner(write_study(tmp_path / "lus", {"mse": [-1.0], "weighted": [-0.8]}))
    base = Config()
    study = Study(
        name="own", modality="lus", base=base, default_arms=("mse",), reference="mse", space=STUDY.space,
        arms=(
            Arm(name="mse", label="MSE", edits={"loss.name": "mse"}),
            Arm(name="weighted", label="W",
                edits={"loss.name": "contrastive", "loss.weighted": True}),
            Arm(name="no_shift", label="N", edits={"encoder.shift_fraction": 0.0}),
            Arm(name="majority", label="M", edits={"progression.input": "nothing"}, control=True),
        ),
    )  # fmt: skip
    made = around(study, winner)
    assert made.reference == "weighted"
    assert {arm.name: dict(arm.edits) for arm in made.arms} == {
        "weighted": {"loss.name": "contrastive", "loss.weighted": True},
        "mse": {"loss.name": "mse"},
        "majority": {"progression.input": "nothing"},
        "weighted-no-weighted": {"loss.name": "contrastive"},
        "weighted-shift_fraction-0": {
            "loss.name": "contrastive", "loss.weighted": True, "encoder.shift_fraction": 0.0
        },
    }  # fmt: skip


def test_the_reference_is_matched_in_compute_by_views_and_by_epochs() -> None:
    made = compute_matched(STUDY, ("mse", "supcon"))
    assert made.default_arms == ("mse", "supcon", "mse_two_views", "mse_twice_as_long")
    assert made.reference == "mse" and made.arm("mse_two_views").edits["loss.views"] == 2
    edits = {"train.epochs": 5}
    configs = {name: config_of(made.arm(name), STUDY.base, edits) for name in made.default_arms}
    assert {name: (c.train.epochs, c.loss.views) for name, c in configs.items()} == {
        "mse": (5, 0), "supcon": (5, 0), "mse_two_views": (5, 2), "mse_twice_as_long": (10, 0)
    }  # fmt: skip
    assert compute_matched(made) == made, "once is enough"


def test_a_reference_of_two_views_needs_no_match() -> None:
    with pytest.raises(UserError, match=r"mse_two_views has two views already: leave it out"):
        compute_matched(replace(STUDY, reference="mse_two_views"))


def test_match_is_an_option_of_the_sweep(tmp_path: Path) -> None:
    request = read_request("lus", None, tmp_path / "lus", SweepOptions(match="compute", arms=("mse",)))
    assert request.arms == ("mse", "mse_two_views", "mse_twice_as_long")
    with pytest.raises(UserError, match="--match adds arms"):
        SweepOptions(match="compute", arms=("mse",), factor=FACTORS)


@pytest.mark.parametrize("searched", ["raw", "balanced"])
def test_a_weight_that_a_search_chose_keeps_its_meaning(tmp_path: Path, searched: str) -> None:
    """An older recipe had raw weights, which would be another strength as balanced ones."""
    folder = write_study(tmp_path / "lus", {"mse": [-1.0], "contrastive": [-0.8]})
    info = json.loads((folder / "study.json").read_text())
    info["arms"][1] |= {"searched": ["train.lr", "loss.contrastive_weight"]}
    info["arms"][1] |= {"edits": {"loss.name": "contrastive"}}
    if searched == "balanced":
        info["arms"][1]["edits"]["loss.weighting"] = "balanced"
    (folder / "study.json").write_text(json.dumps(info))
    trials = pd.read_parquet(folder / "trials.parquet").assign(**{"config.loss.contrastive_weight": 3.0})
    trials.to_parquet(folder / "trials.parquet")
    winner = read_winner(folder)
    arm = around(STUDY, winner).arm("contrastive")
    loss = config_of(arm, STUDY.base.with_values(winner.settings[0, 0]), {}).loss
    assert (loss.weighting, loss.contrastive_weight) == (searched, 3.0)
    own = around(STUDY, read_winner(folder, "mse")).arm("contrastive")
    assert own.edits["loss.weighting"] == "balanced", "no weight was chosen for MSE"


def test_the_epoch_that_a_longer_winner_stopped_at_is_that_of_the_others_schedule(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "lus", {"mse": [-1.0], "mse_twice_as_long": [-0.8]})
    info = json.loads((folder / "study.json").read_text())
    info["arms"][1]["epochs_factor"] = 2
    (folder / "study.json").write_text(json.dumps(info))
    winner = read_winner(folder)  # whose best epochs are 5 and 6
    assert [winner.settings[0, fold]["train.stop_epoch"] for fold in (0, 1)] == [3, 3]
    made = around(compute_matched(STUDY), winner)
    base = STUDY.base.with_values(winner.settings[0, 0])
    stops = {arm.name: config_of(arm, base, {}).train.stop_epoch for arm in made.arms}
    assert stops["mse"] == 3 and stops["mse_twice_as_long"] == 6
    assert all(stop == 6 for name, stop in stops.items() if name.startswith("mse_twice_as_long-"))
