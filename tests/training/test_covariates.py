"""Interval, age, sex and education as inputs: the rule for what is missing, and who a run is with them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from learner_ray.core.config import Config, ProgressionConfig
from learner_ray.core.errors import UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.run.spec import Patients, RunSpec, Source
from learner_ray.training.covariates import CovariateInputs
from learner_ray.training.progression import Embedded, Progression

NAN = float("nan")


def pairs(ages: list[float], sexes: list[str], patients: list[str] | None = None) -> pd.DataFrame:
    n = len(ages)
    return pd.DataFrame(
        {
            "patient": patients or [f"p{i}" for i in range(n)], "earlier": "1", "later": "2",
            "interval_days": 100.0, "age": ages, "sex": sexes, "education_years": NAN, "site": "",
            "device": "", "y": np.arange(n) % 3,
        }
    )  # fmt: skip


def test_a_missing_number_is_the_median_of_the_training_patients_with_an_indicator() -> None:
    trained = pairs([60, 60, 60, 70, 80, NAN], ["F"] * 6, ["a", "a", "a", "b", "c", "d"])
    inputs = CovariateInputs.fit(trained)
    assert inputs.medians["age"] == 70, "of patients, not of pairs"
    interval, age = inputs(pairs([NAN, 65], ["F", "F"]))
    assert age.tolist() == [[70, 1], [65, 0]] and interval.shape == (2, 1)


def test_what_no_training_patient_has_is_no_input_and_what_all_have_needs_no_indicator() -> None:
    inputs = CovariateInputs.fit(pairs([60, 70], ["F", "F"]))
    assert set(inputs.medians) == {"interval_days", "age"}
    assert [block.shape[1] for block in inputs(pairs([NAN], ["M"]))] == [1, 1]


def test_a_sex_that_the_fit_lacks_is_none_of_its() -> None:
    *_, sex = CovariateInputs.fit(pairs([60, 70, 80], ["F", "M", ""]))(pairs([60] * 3, ["F", "X", ""]))
    assert sex.tolist() == [[1, 0], [0, 0], [0, 0]]


def test_a_fit_survives_json_bit_for_bit() -> None:
    trained = pairs([60, 65, NAN, 75, 80, 90], ["F", "M"] * 3)
    scans = pd.DataFrame(
        [(f"{p}-{v}", p, v, "") for p in trained["patient"] for v in "12"],
        columns=["scan", "patient", "visit", "view"],
    )
    nothing = Embedded({}, {})
    fitted = Progression.fit(ProgressionConfig(input="covariates"), trained, scans, nothing, 0)
    restored = Progression.restore(json.loads(json.dumps(fitted.state())))
    assert (restored.predict(trained, scans, nothing) == fitted.predict(trained, scans, nothing)).all()
    assert np.ptp(fitted.predict(trained, scans, nothing), axis=0).max() > 0.01, "it sees them"


def test_who_sees_them_is_another_run_when_they_change_and_who_does_not_is_not() -> None:
    source = Source(path="here", cohort_hash="c", covariates_hash="old")
    run = RunSpec(config=Config(), patients=Patients(classifier=("p",)), source=source)
    blind = replace(run, source=replace(source, covariates_hash=""))
    changed = replace(run, source=replace(source, covariates_hash="new"))
    assert len({run.hash, blind.hash, changed.hash}) == 3
    assert RunSpec.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    old = {key: value for key, value in blind.to_dict().items() if key != "covariates_hash"}
    assert RunSpec.from_dict(json.loads(json.dumps(old))).hash == blind.hash, "of a version before them"


def test_covariates_that_have_changed_since_the_plan_are_refused(manifest) -> None:
    from learner_ray.training.data import open_data

    with pytest.raises(UserError, match="age, sex or education have changed"):
        open_data(Source(path=str(manifest), covariates_hash="other"), PixelSettings(32))
