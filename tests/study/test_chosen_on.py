"""A study of a cohort that the package's defaults were chosen on is told so, and no other is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from learner_ray.cohort import Cohort, load
from learner_ray.core.config import Config
from learner_ray.run.spec import Source
from learner_ray.study.chosen_on import CHOICES, LUS_PHANTOM, OASIS2, chosen_on, recognise

SOURCE = Source(path="cohort", modality="mri")


@pytest.fixture
def cohort(manifest: Path) -> Cohort:
    return load(manifest, modality="lus")


def renamed(cohort: Cohort, patient: str) -> Cohort:
    """The cohort with another id for one of its patients."""
    first = cohort.patients[0]
    return replace(cohort, scans=cohort.scans.assign(patient=cohort.scans["patient"].replace(first, patient)))


def test_a_cohort_is_recognised_by_what_survives_a_selection_or_a_conversion(cohort: Cohort) -> None:
    assert recognise(cohort, SOURCE)[0] is None
    assert recognise(cohort, replace(SOURCE, format="oasis2"))[0] == OASIS2
    assert recognise(renamed(cohort, "OAS2_0001"), SOURCE)[0] == OASIS2, "one patient of it is enough"
    assert recognise(renamed(cohort, "OAS1_0001"), SOURCE)[0] is None
    assert recognise(replace(cohort, phantom=True), SOURCE)[0] == LUS_PHANTOM
    assert recognise(replace(cohort, phantom=True, modality="mri"), SOURCE)[0] is None


def test_only_defaults_that_the_study_uses_are_named(cohort: Cohort) -> None:
    oasis = replace(SOURCE, format="oasis2")
    base = Config()
    found = chosen_on(cohort, oasis, [base], searched=True)
    keys = [key for choice in found["choices"] for key in choice["keys"]]
    assert {"progression.selection_metric", "progression.patients"} <= set(keys)
    assert "loss.weighting" not in keys, "the default of the key is raw; the recipes balance"
    other = base.with_values({"progression.selection_metric": "macro_f1", "progression.patients": "held_out"})
    unlike = [key for c in chosen_on(cohort, oasis, [other], searched=True)["choices"] for key in c["keys"]]
    assert not {"progression.selection_metric", "progression.patients"} & set(unlike)
    unsearched = chosen_on(cohort, oasis, [base], searched=False)["choices"]
    assert not any("metric" in choice["what"] for choice in unsearched)
    assert chosen_on(cohort, SOURCE, [base], searched=True)["choices"] == []


def test_every_choice_is_in_the_log_and_is_a_default_still() -> None:
    """A choice that is changed is no longer one that these cohorts made."""
    log = (Path(__file__).parents[2] / "docs" / "log.md").read_text()
    recipes = Config().with_values({"loss.weighting": "balanced"}).in_effect()
    for choice in CHOICES:
        assert f"## {choice.log}" in log
        assert {key: recipes[key] for key in choice.defaults} == dict(choice.defaults)
