"""A results folder under the old names gives the same report as under the new ones."""

import json

import pandas as pd
import pytest
from make_results import make_results

from analysis.building import all_tables
from analysis.figures.search import budget, learning
from analysis.page.page import Report, html
from analysis.results.load import load
from analysis.results.old_names import UNRECORDED, config_key, translated_study
from analysis.statistics.study_statistics import study_statistics

NAMES = {
    "new": {
        "score": "selection_score", "margin": "loss.margin", "shift": "encoder.shift_fraction",
        "base metric": "selection_metric", "study metric": "selection_metric", "pruner": "pruner",
        "seed": "seed_offset", "loss": "loss", "encoder": "encoder",
    },
    "old": {
        "score": "objective", "margin": "objective.margin", "shift": "model.shift_fraction",
        "base metric": "judged_by", "study metric": "search_metric", "pruner": "scheduler",
        "seed": "salt", "loss": "objective", "encoder": "model",
    },
}  # fmt: skip
"""Every name that has changed, written out."""


def write_study(folder, names):
    """A factorial study with a search, its selected trials evaluated again, and curves."""
    make_results(folder, audits=1)
    info = json.loads((folder / "study.json").read_text())
    info["base"] = {
        names["loss"]: {"name": "mse", "margin": 0.2},
        names["encoder"]: {"shift_fraction": 0.1, "weights": "imagenet"},
        "progression": {names["base metric"]: "macro_f1"},
    }
    crossed = [{names["shift"]: s, names["margin"]: m} for s in (0.1, 0.0) for m in (0.2, 0.3)]
    for arm, edits in zip(info["arms"], crossed, strict=True):
        arm |= {
            "control": False,
            "edits": edits,
            "searched": ["train.lr", names["margin"]],
            names["seed"]: "",
        }
    info[names["study metric"]], info[names["pruner"]] = info.pop("selection_metric"), "halving"
    info["space"], info["set"] = {names["margin"]: {}}, {names["shift"]: 0.1}
    (folder / "study.json").write_text(json.dumps(info))
    columns = {"selection_score": names["score"], "config.loss.margin": f"config.{names['margin']}"}
    trials = pd.read_parquet(folder / "trials.parquet").rename(columns=columns)
    trials.to_parquet(folder / "trials.parquet")
    complete = trials[trials["state"] == "complete"]
    audits = complete[["arm", "repeat", "fold", "run_hash", "state", names["score"]]].assign(seed=0)
    audits.to_parquet(folder / "audits.parquet")
    for run, score in zip(complete["run_hash"], complete[names["score"]], strict=True):
        path = folder.parent / "runs" / run / "progress.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"epoch": 1, names["score"]: score}) + "\n")
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The statistics of one study under the new names and under the old."""
    root = tmp_path_factory.mktemp("names")
    folders = [write_study(root / kind / "lus", names) for kind, names in NAMES.items()]
    return [study_statistics(load([folder]).studies[0], 100) for folder in folders]


@pytest.mark.long
def test_all_tables_and_the_page_are_equal(both):
    new, old = (all_tables([item]) for item in both)
    assert {table.name for table in new} >= {"headline", "factorial", "search", "overtuning"}
    for ours, theirs in zip(new, old, strict=True):
        assert (ours.name, ours.notes) == (theirs.name, theirs.notes)
        pd.testing.assert_frame_equal(ours.data, theirs.data)
        for (head, panel), (old_head, old_panel) in zip(ours.panels, theirs.panels, strict=True):
            assert head == old_head
            pd.testing.assert_frame_equal(panel, old_panel)
    pages = [
        html(Report(statistics=[s], tables=t, drawings=[])) for s, t in zip(both, (new, old), strict=True)
    ]
    here, there = (str(item.study.folder.parent) for item in both)
    assert pages[0].replace(here, "") == pages[1].replace(there, "")
    assert "loss.margin" in pages[0] and "imagenet" in pages[0]


def test_curves_of_the_search_are_equal(both):
    for draw in (budget, learning):
        new, old = (draw(item).data for item in both)
        assert len(new)
        pd.testing.assert_frame_equal(new, old)


def test_what_study_json_declares_is_equal(both):
    new, old = (item.study for item in both)
    assert old.info == new.info and {"pruner", "selection_metric"} <= set(old.info)
    assert old.arms == new.arms
    setting = {"repeat": 0, "fold": 0, "values": {"model.shift_fraction": 0.1, "train.lr": 1e-3}}
    fixed = translated_study({"fixed_at": {"arm": "mse", "settings": [setting]}})["fixed_at"]
    assert fixed["settings"][0]["values"] == {"encoder.shift_fraction": 0.1, "train.lr": 1e-3}


def test_the_new_name_wins_where_both_stand():
    info = {"scheduler": "old", "pruner": "new", "base": {"model": {"a": 1}, "encoder": {"a": 2}}}
    assert translated_study(info) == UNRECORDED | {"pruner": "new", "base": {"encoder": {"a": 2}}}


def test_keys_without_another_name_stay():
    keys = ("train.lr", "seed", "progression.judged_by")
    assert [config_key(key) for key in keys] == ["train.lr", "seed", "progression.selection_metric"]
