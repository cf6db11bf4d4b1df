"""The Methods section says what the record says: nothing else, and nothing where the record is silent."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.page.methods_text.record import UNKNOWN, sentence
from analysis.page.methods_text.section import study_methods
from analysis.results.load import _arms
from analysis.results.study import StudyResults
from analysis.tables.search_space import searched_keys
from learner_ray.cohort import load as load_cohort
from learner_ray.run.spec import Source
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.sample_size import sample_size_record
from learner_ray.study.study_file import load_study

pytestmark = pytest.mark.slow

ARMS = ("mse", "contrastive", "weighted", "siamese", "majority", "shuffled_scores", "shuffled_labels")
UNUSUAL = {
    "train.optimizer": "sgd",
    "encoder.norm": "group",
    "encoder.projection_dim": 64,
    "progression.finetune_epochs": 2,
    "data.augment": 0.5,
}
SEARCH_OF = {"trials": 2, "folds": 2, "repeats": 1, "seeds": 1, "audits": 1}


def planned(manifest: Path, edits: dict[str, Any], arms: tuple[str, ...] = ARMS, **size: int) -> Plan:
    cohort = load_cohort(manifest, modality="lus")
    return make_plan(
        load_study("lus"),
        cohort,
        Source(
            path=str(manifest), modality="lus", format="manifest", missing=("-9",), cohort_hash=cohort.hash
        ),
        profile="laptop",
        size=Size(**{**SEARCH_OF, **size}),
        arms=arms,
        edits=edits,
        precision="float32",
        seed=0,
        threads=1,
    )


def recorded(plan: Plan, folder: Path, sized: bool = True) -> dict[str, Any]:
    """A study.json as the sweep writes it at the first start."""
    size = sample_size_record if sized else lambda plan: None
    record(plan, folder, ["one scan"], command="the command", sample_size=lambda: size(plan))
    found: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return found


def told(info: dict[str, Any]) -> str:
    """The Methods section of a record, and the table that it points to."""
    study = study_of(info)
    return "\n".join(f"{p.topic}. {p.text}" for p in study_methods(study)) + str(searched_keys(study))


def study_of(info: dict[str, Any]) -> StudyResults:
    """A study without results."""
    empty = pd.DataFrame(columns=["arm"])
    return StudyResults(
        key="lus", folder=Path("lus"), info=info, arms=_arms(info, empty, []), ledger=empty, trials=empty,
        scores=empty,
    )  # fmt: skip


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The paths of all values that are there and are neither objects nor lists."""
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    if not isinstance(value, dict | list) and value is not None:
        yield path
    for key, child in children:
        yield from leaves(child, *path, key)


def told_with(info: dict[str, Any], path: tuple[Any, ...], *, remove: bool = False) -> str:
    """What is told of a record in which one value is another, or is not there."""
    at = info
    for key in path[:-1]:
        at = at[key]
    old = at[path[-1]]
    if remove:
        del at[path[-1]]
    elif isinstance(old, bool):
        at[path[-1]] = not old
    elif isinstance(old, int | float):
        at[path[-1]] = old * 2 + 1
    else:
        at[path[-1]] = f"altered {old}"
    try:
        return told(info)
    finally:
        at[path[-1]] = old


@pytest.fixture(scope="module")
def studies(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Records of a study of the recipe, and of one with less usual settings."""
    root = tmp_path_factory.mktemp("records")
    usual = recorded(planned(manifest, {}, ARMS), root / "usual")
    return [usual, recorded(planned(manifest, UNUSUAL, ARMS[:4]), root / "unusual", sized=False)]


TOLD_ELSEWHERE = {
    "the same value stands in another place, which is told":
        r"analysis|cohort_hash|space\..*|modality|study|arms\.\d+\.edits\..*|base\.progression\.selection_metric"
        r"|frozen\.(planned\..*|primary_metric|primary_metric_definition|reference|threshold|retest_days|command)"
        r"|base\.progression\.endpoint|arms\.\d+\.seed_offset",
    "the value in effect differs from the base's in every arm, or a search has its own start":
        r"base\.loss\.(contrastive_weight|views|weighting)|base\.seed"
        r"|methods\.configurations\.\w+\.values\.loss\.\w+",
    "no arm has it here": r"methods\.practice\.(classifier\.heads\.(mlp|ordinal)\.text|encoder\.partial_norm)"
        r"|methods\.defaults\.recognised_by",
    "the flow diagram shows it": r"flow\..*",
    "it tells one version of a metric of one's own from another": r"primary_metric_definition",
    "it decides nothing": r"created|hash|study_file|source\.path|arms\.\d+\.control|spaces\..*\.name",
}  # fmt: skip
"""Paths that the Methods section does not follow, by the reason."""


def test_every_recorded_value_is_told(studies: list[dict[str, Any]]) -> None:
    """Seen: the text named a union of searched keys for every arm, and neither encoder nor loss."""
    silent: set[tuple[Any, ...]] = set().union(*(leaves(info) for info in studies))
    for info in studies:
        before = told(info)
        silent -= {path for path in list(leaves(info)) if told_with(info, path) != before}
    known = "|".join(TOLD_ELSEWHERE.values())
    assert not [path for path in map(_dotted, silent) if not re.fullmatch(known, path)]


@pytest.mark.parametrize(("at_a_time", "lag"), [(1, ""), (4, "those with numbers smaller by 8 or more")])
def test_trials_at_a_time_are_told_with_what_each_went_by(
    studies: list[dict[str, Any]], at_a_time: int, lag: str
) -> None:
    text = told({**studies[0], "parallel_trials": at_a_time})
    assert f"Trials of one search ran {at_a_time} at a time" in text
    assert lag in text and ("numbers smaller" in text) == bool(lag)


def test_what_was_not_recorded_is_not_told(studies: list[dict[str, Any]]) -> None:
    """Each value taken away leaves a gap that is named, or a sentence less; a text of it does not stay."""
    for info in studies:
        before = told(info)
        for path in list(leaves(info)):
            if path[0] == "arms" or isinstance(path[-1], int) or told_with(info, path) == before:
                continue
            value = info
            for key in path:
                value = value[key]
            # Of what was not done, and is recorded as such, there is no sentence either.
            assert not value or told_with(info, path, remove=True) != before, _dotted(path)


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def test_of_an_empty_record_there_is_no_sentence() -> None:
    (only,) = study_methods(study_of({"arms": []}))
    assert only.topic == "Not recorded"
    unnamed = {p.topic: p.text for p in study_methods(study_of({"arms": [{"name": "a"}]}))}
    assert unnamed.pop("Not recorded") and unnamed == {"Loss": "a: loss not recorded."}


def test_a_sentence_without_a_value_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="no record holds"):
        sentence("Test patients took no part.")
    assert sentence("{a} of {b}.", a=None, b=None) == ""
    assert sentence("{a} of {b}.", a=3, b=None) == f"3 of {UNKNOWN}."


def test_without_a_search_there_is_no_pruner(manifest: Path, tmp_path: Path) -> None:
    text = told(recorded(planned(manifest, {}, ("mse", "weighted"), trials=0), tmp_path / "lus", sized=False))
    assert "Nothing was searched" in text
    assert not any(word in text for word in ("Pruner", "Sampler", "inner", "validated", "searched, starting"))


def test_an_older_record_is_told_as_far_as_it_goes(studies: list[dict[str, Any]]) -> None:
    """What its version did beside the configuration is not guessed from what this version does."""
    older = {
        key: value
        for key, value in studies[0].items()
        if key not in ("methods", "frozen", "spaces", "starts")
    }
    paragraphs = {p.topic: p.text for p in study_methods(study_of(older))}
    gaps = paragraphs["Not recorded"]
    for gap in (
        "sample size",
        "calibration",
        "frozen protocol",
        "package defaults",
        "beside the configuration",
    ):
        assert gap in gaps.lower()
    text = " ".join(paragraphs.values())
    assert not any(word in text for word in ("degrees", "cosine", "iterative", "TPESampler", "look"))
    assert (
        "Scans per batch, over all devices: 16" in text
        and "margin searched, starting at not recorded" in text
    )


def test_arms_that_differ_are_told_apart(studies: list[dict[str, Any]]) -> None:
    text = {p.topic: p.text for p in study_methods(study_of(studies[0]))}
    assert "at different visits in every batch (MSE + siamese)" in text["Pretraining"]
    assert "MSE + siamese: siamese" in text["Loss"] and "pairs of visits of one patient" in text["Loss"]
    assert "MSE: no further term; 1 view of each scan." in text["Loss"]
    assert (
        "permuted over training patients before pretraining in: Pretrained on shuffled" in text["Pretraining"]
    )


def test_a_study_outside_the_calibrated_conditions_says_so(studies: list[dict[str, Any]]) -> None:
    inside = copy.deepcopy(studies[0])
    inside["cohort"] |= {"patients_with_pairs": 60, "class_counts": [30, 40, 30]}
    inside["folds"] = 3
    assert "lies within them" in told(inside)
    inside["folds"] = 2
    assert "This study lies outside them: 2 folds." in told(inside)


def test_sizes_are_written_as_one_or_several(studies: list[dict[str, Any]]) -> None:
    """Seen: "1 repeats, 1 seeds"."""
    info = copy.deepcopy(studies[0])
    info["cohort"] |= {"patients_with_pairs": 60, "class_counts": [30, 40, 30]}
    info |= {"folds": 3, "repeats": 1, "seeds": 1}
    info["frozen"]["calibration"] |= {"repeats": [1, 1], "seeds": [1, 2]}
    text = told(info)
    assert ", 1 repeat, 1 to 2 seeds, " in text and ", 3 folds, 1 repeat, 1 seed, 3 arms, lies within" in text
    info["frozen"]["calibration"]["repeats"] = [2, 3]
    assert "lies outside them: 1 repeat." in told(info)


def test_a_rare_class_of_decline_is_one_of_its_two(studies: list[dict[str, Any]]) -> None:
    decline = copy.deepcopy(studies[0])
    decline["cohort"] |= {"patients_with_pairs": 60, "class_counts": [50, 47, 3]}
    decline |= {"folds": 3, "endpoint": "decline"}
    assert "lies within them" in told(decline)
    decline["cohort"]["class_counts"] = [3, 47, 50]
    assert "lies outside them: a class of 3 %" in told(decline)


def test_of_a_raw_weight_there_is_no_balanced_one(manifest: Path, tmp_path: Path) -> None:
    """Seen: "A balanced weight () is the ratio of two gradients", in every study of raw weights."""
    raw = planned(manifest, {"loss.weighting": "raw"}, ("mse", "weighted"))
    text = told(recorded(raw, tmp_path / "lus", sized=False))
    assert "raw" in text and "balanced weight" not in text


def test_of_controls_alone_no_training_is_told(manifest: Path, tmp_path: Path) -> None:
    """Seen: "Frames shown of a scan: not recorded", and how an optimiser that never ran decays weights."""
    controls = planned(manifest, {}, ("majority", "earlier_score"), trials=0)
    info = recorded(controls, tmp_path / "lus")
    text = {p.topic: p.text for p in study_methods(study_of(info))}
    assert text["Input"] == "No arm saw a scan." and text["Encoder"] == "No arm had an encoder."
    assert text["Pretraining"] == "No arm was pretrained."
    assert text["Loss"] == "Arms without pretraining: Majority class, Earlier score only."
    assert text["Sample size"].startswith("No arm was compared") and "Not recorded" not in text


def test_an_arm_that_stops_early_is_told_beside_one_that_does_not(studies: list[dict[str, Any]]) -> None:
    info = copy.deepcopy(studies[0])
    info["methods"]["configurations"]["weighted"]["values"]["train.stop_epoch"] = 3
    assert "schedule did: the last (MSE," in told(info) and "; 3 (MSE + weighted" in told(info)
