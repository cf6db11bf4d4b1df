"""What stands in the ledger for a final run that failed or diverged: the majority class of its patients.

Without such rows an arm would be judged by the runs that it survived, and the more of them die the better it
could look.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pandas as pd

from learner_ray.cohort import Cohort
from learner_ray.cohort.flow import pairs_among
from learner_ray.core.config import ProgressionConfig
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.training.predictions import pair_table
from learner_ray.training.progression import Embedded, Progression

MAJORITY = ProgressionConfig(input="nothing", decision="argmax")
"""Settings of the majority class, the same as in the control arm ``majority`` of the package's studies: of
equally frequent classes the first of worse, same, better is predicted, and the probabilities are the class
shares among the training pairs, with one more pair added to each class."""


def majority_rows(cohort: Cohort, group: FoldSearchSpec) -> pd.DataFrame:
    """The test pairs of a group's final runs as the majority class of their training patients predicts them.

    Returns:
        The columns of a run's ``predictions.parquet``, one row per test pair whose visits can be read;
        predicted scores and distances are empty.
    """
    tested = set(group.patients(final=True).test)
    return predicted_by(majority_of(cohort, group), cohort, tested, group.source.bad_scans)


def majority_of(cohort: Cohort, group: FoldSearchSpec) -> Progression:
    """The majority class of the training patients of a group's final runs, as a classifier."""
    patients = group.patients(final=True)
    scans, trained = _readable(cohort, group.source.bad_scans), {*patients.pretrain, *patients.classifier}
    fitted = _pairs(cohort, scans, trained)
    config = replace(MAJORITY, endpoint=group.config.progression.endpoint)
    return Progression.fit(config, fitted, _scans(scans, trained), Embedded({}, {}), seed=0)


def predicted_by(
    majority: Progression, cohort: Cohort, patients: Collection[str], bad_scans: Collection[str]
) -> pd.DataFrame:
    """The pairs of some patients, as the majority class predicts them; columns as in :func:`majority_rows`.

    Args:
        majority: what :func:`majority_of` gave.
        cohort: whose patients they are; it may be another than that of the training patients.
        patients: whose pairs are predicted.
        bad_scans: ids of scans that cannot be read.
    """
    scans, nothing = _readable(cohort, bad_scans), Embedded({}, {})
    pairs = _pairs(cohort, scans, patients)
    probabilities = majority.predict(pairs, _scans(scans, patients), nothing)
    return pair_table(cohort, pairs, scans, probabilities, majority.decide(probabilities), nothing)


def _readable(cohort: Cohort, bad_scans: Collection[str]) -> pd.DataFrame:
    return cohort.scans[~cohort.scans["scan"].isin(bad_scans)]


def _scans(scans: pd.DataFrame, patients: Collection[str]) -> pd.DataFrame:
    return scans[scans["patient"].isin(patients)].reset_index(drop=True)


def _pairs(cohort: Cohort, scans: pd.DataFrame, patients: Collection[str]) -> pd.DataFrame:
    """The pairs of some patients whose visits both have one of the scans: those that a run has."""
    pairs = pairs_among(cohort, scans)
    return pairs[pairs["patient"].isin(patients)].reset_index(drop=True)
