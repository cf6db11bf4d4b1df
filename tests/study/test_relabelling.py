"""Tables of earlier versions' runs get pseudonyms, and no patient has two."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from learner_ray.cohort import Cohort, load
from learner_ray.cohort.pseudonyms import former_pseudonym
from learner_ray.core.errors import UserError
from learner_ray.study.relabelling import Relabelling
from learner_ray.training.predictions import hidden_pairs

FILE = Path("runs/1/predictions.parquet")


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two patients, whose visits are named by their dates."""
    lines = ["path,patient,visit,date,score"]
    for patient in ("A", "B"):
        for number, day in enumerate(("2024-02-15", "2024-03-01", "2024-03-09")):
            (tmp_path / f"{patient}{number}.mp4").write_bytes(f"{patient}{number}".encode())
            lines.append(f"{patient}{number}.mp4,{patient},{day.replace('-', '')},{day},{300 + 30 * number}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    return load(tmp_path / "manifest.csv", modality="lus")


def rows(cohort: Cohort, *, former: bool) -> pd.DataFrame:
    """A table as a run has it."""
    pairs = cohort.pairs()
    if not former:
        patients = [cohort.pseudonym(p) for p in pairs["patient"]]
        table = pd.DataFrame({"patient": patients, "pair": hidden_pairs(cohort, pairs)})
        visits = [cohort.visit_rank(*of) for of in zip(pairs["patient"], pairs["later"], strict=True)]
    else:
        patients = [former_pseudonym(p) for p in pairs["patient"]]
        named = zip(patients, pairs["earlier"], pairs["later"], strict=True)
        table = pd.DataFrame({"patient": patients, "pair": [f"{p}:{a}>{b}" for p, a, b in named]})
        visits = [*pairs["later"]]
    scans = [f"{patient}:{number}" for number, patient in enumerate(patients)]
    return table.assign(visit=visits, scan=scans, y_pred=range(len(pairs)))


def test_hashes_and_dates_of_earlier_versions_give_way_to_pseudonyms_and_ranks(cohort: Cohort) -> None:
    labels, now = Relabelling(cohort), rows(cohort, former=False)
    assert now["pair"].str.partition(":")[2].tolist() == ["1>2", "2>3"] * 2
    pd.testing.assert_frame_equal(labels.now(now, FILE), now)
    before = rows(cohort, former=True)
    pd.testing.assert_frame_equal(labels.now(before, FILE), now)
    mixed = pd.concat([before[:2], now[2:]])
    pd.testing.assert_frame_equal(labels.now(mixed, FILE), now)
    without = ["patient", "y_pred"]
    pd.testing.assert_frame_equal(labels.now(before[without], FILE), now[without])


def test_two_pseudonyms_of_one_patient_are_an_error(cohort: Cohort) -> None:
    """As where a file is of a version that names patients in a third way."""
    table = rows(cohort, former=False)
    table.loc[0, "patient"] = "0123456789ab"
    with pytest.raises(UserError, match=r"runs/1/predictions\.parquet: 1 of its patients .* would have two"):
        Relabelling(cohort).now(table, FILE)
