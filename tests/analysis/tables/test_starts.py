"""The report says of every arm where its search began, and what its loss was published with."""

import json

import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.statistics.study_statistics import study_statistics
from analysis.tables.starts import starts_table
from analysis.tables.table import NONE

SHARED = {"train.lr": 1e-3}
STARTS = {
    "mse": SHARED,
    "weighted": {
        **SHARED,
        "loss.contrastive_weight": 1.0,
        "loss.temperature": 1 / 150,
        "loss.threshold": 0.5,
    },
}
PUBLISHED = {"weighted": {"loss.temperature": 1 / 150, "loss.contrastive_weight": 0.75}}


def begun(folder, edits, **info):
    """The weights' column of a study in which one arm, with such edits, has a contrastive term."""
    make_results(folder)
    study = json.loads((folder / "study.json").read_text()) | {"starts": STARTS, **info}
    for arm in study["arms"]:
        arm["edits"] = {"loss.name": "adacon", **edits} if arm["name"] == "weighted" else {}
    (folder / "study.json").write_text(json.dumps(study))
    table = starts_table([study_statistics(load([folder]).studies[0], draws=50)])
    ((_, panel),) = table.panels
    assert panel.iloc[0].tolist() == [NONE, NONE, "lr 0.001"]
    return panel.iloc[1].tolist()


@pytest.mark.parametrize(
    ("edits", "info", "weight"),
    [
        ({"loss.weighting": "balanced"}, {}, "base setting (balanced weight 1); published: 0.75 raw"),
        ({}, {}, "base setting (raw weight 1); published: 0.75 raw"),
        (
            {"loss.weighting": "balanced"},
            {"published": {}},
            "base setting (balanced weight 1); none published",
        ),
    ],
)
def test_a_weight_that_was_not_published_is_not_called_so(tmp_path, edits, info, weight):
    """Seen: trial 0 of AdaCon was called published, at balanced weight 1 where 0.75 raw is."""
    cells = begun(tmp_path / "lus", edits, **{"published": PUBLISHED, **info})
    temperature = "temperature 0.00667 (published)" if "published" not in info else "temperature 0.00667"
    assert cells == [weight, f"{temperature}, threshold 0.5", "lr 0.001"]


def test_the_published_weight_is_called_so_where_a_search_is_fixed_to_it(tmp_path, monkeypatch):
    fixed = {"loss.weighting": "raw", "loss.contrastive_weight": 0.75}
    monkeypatch.delitem(STARTS["weighted"], "loss.contrastive_weight")
    cells = begun(tmp_path / "lus", {"loss.weighting": "balanced"}, published=PUBLISHED, set=fixed)
    assert cells[0] == "published (raw weight 0.75)"


def test_nothing_is_said_of_a_study_that_recorded_no_start(tmp_path):
    study = load([make_results(tmp_path / "lus")]).studies[0]
    assert starts_table([study_statistics(study, draws=50)]) is None
