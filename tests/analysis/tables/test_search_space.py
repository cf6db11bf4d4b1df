"""The report says of every arm what it searched, where it began, and what its loss was published with."""

import json

import pytest
from make_results import make_results

from analysis.results.load import load
from analysis.tables.search_space import searched_keys

SPACE = {
    key: {"name": "FloatDistribution", "attributes": {"low": 0.1, "high": 10.0, "log": True, "step": None}}
    for key in ("train.lr", "loss.contrastive_weight")
}


@pytest.mark.parametrize(
    ("edits", "published", "expected"),
    [
        ({"loss.weighting": "balanced"}, {"loss.contrastive_weight": 0.75}, ("1 (balanced)", "0.75 (raw)")),
        ({}, {"loss.contrastive_weight": 0.75}, ("1 (raw)", "0.75 (raw)")),
        ({"loss.weighting": "balanced"}, {}, ("1 (balanced)", "–")),
        ({}, None, ("1 (raw)", "not recorded")),
    ],
)
def test_a_weight_that_was_not_published_is_not_called_so(tmp_path, edits, published, expected):
    """Seen: trial 0 of AdaCon was called published, at balanced weight 1 where 0.75 raw is."""
    folder = make_results(tmp_path / "lus")
    study = json.loads((folder / "study.json").read_text())
    study |= {"spaces": {"weighted": SPACE}, "starts": {"weighted": dict.fromkeys(SPACE, 1.0)}}
    if published is not None:
        study["published"] = {"weighted": published}
    for arm in study["arms"]:
        if arm["name"] == "weighted":
            arm |= {"edits": {"loss.name": "adacon", **edits}, "searched": [*SPACE]}
    (folder / "study.json").write_text(json.dumps(study))
    rows = {row["key"]: row for row in searched_keys(load([folder]).studies[0]) if row["arm"] == "weighted"}
    weight, rate = rows["loss.contrastive_weight"], rows["train.lr"]
    assert (weight["start"], weight["published"]) == expected
    assert weight["values"] == "0.1 to 10, log" and rate["published"] == "–"
