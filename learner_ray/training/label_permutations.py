"""What the progression classifier makes of many permutations of the labels, on embeddings that are there.

A leak from training to test patients shows itself here: labels that were permuted over the whole cohort can
be predicted above chance only by who knows the test pairs. One permutation would say little, since its noise
is shared by all test pairs of a fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.core.config import ProgressionConfig
from learner_ray.core.seeding import random_key
from learner_ray.training.progression import (
    Embedded,
    Progression,
    clip_pairs,
    features,
    fitted_inputs,
    true_classes,
)

PERMUTATIONS = 200
"""Permutations of a final run; each costs one fit of the classifier, some milliseconds."""
KEY = ["patient", "earlier", "later"]


def permuted_counts(
    config: ProgressionConfig,
    cohort_pairs: pd.DataFrame,
    fitted: pd.DataFrame,
    tested: pd.DataFrame,
    scans: pd.DataFrame,
    embedded: Embedded,
    permutations: int = PERMUTATIONS,
) -> pd.DataFrame:
    """Fits the classifier on permuted labels and counts what test pairs of each such label are called.

    All runs of a cohort have the same permutations, so that the counts of all folds add up to one result.

    Args:
        config: settings of the classifier; for one with a hidden layer, which takes seconds, a linear one
            stands.
        cohort_pairs: all progression pairs of the cohort, whose labels are permuted.
        fitted: those of them that the classifier is fitted on.
        tested: those that it is tested on.
        scans: the scans of both.
        embedded: embeddings and predicted scores of these scans.
        permutations: how many.

    Returns:
        One row per permutation, the first (0) with the labels as they are: ``permutation`` and ``n_ij``, how
        many test pairs of class i were called j (0 worse, 1 same, 2 better; of decline 0 worse, 1 not worse).
    """
    config = replace(config, shuffle_labels=False, head="logistic" if config.head == "mlp" else config.head)
    places, covariates = fitted_inputs(config, fitted)
    sides = []
    for pairs in (fitted, tested):
        clips = clip_pairs(pairs, scans)
        blocks = features(config, pairs, clips, embedded, places, covariates)
        sides.append((_positions(cohort_pairs, pairs), clips, blocks))
    (known, clips, blocks), (asked, test_clips, test_blocks) = sides
    rows = []
    for number, y in enumerate(_permuted(config, cohort_pairs, permutations)):
        progression = Progression.fit_blocks(config, blocks, clips, y[known], places, seed=0)
        called = progression.decide(progression.predict_blocks(test_blocks, test_clips, len(tested)))
        counts = np.bincount(y[asked] * 3 + called, minlength=9)
        named = {f"n_{code // 3}{code % 3}": int(n) for code, n in enumerate(counts)}
        rows.append({"permutation": number, **named})
    return pd.DataFrame(rows)


def _positions(cohort_pairs: pd.DataFrame, pairs: pd.DataFrame) -> NDArray[np.int64]:
    """Where some pairs stand among all of the cohort."""
    places = pd.Series(np.arange(len(cohort_pairs)), index=pd.MultiIndex.from_frame(cohort_pairs[KEY]))
    return places.loc[pd.MultiIndex.from_frame(pairs[KEY])].to_numpy(np.int64)


def _permuted(
    config: ProgressionConfig, pairs: pd.DataFrame, permutations: int
) -> Iterator[NDArray[np.int64]]:
    """The labels (N,) of all pairs as they are, then permuted.

    The labels of one patient stay together: they are dealt out to the patients' pairs in order, patient by
    patient in a random order, for pairs of one patient are more alike than others.
    """
    y = true_classes(config, pairs)
    yield y
    patient = pd.factorize(pairs["patient"])[0]
    places = np.argsort(patient, kind="stable")
    of_patient = np.split(places, np.flatnonzero(np.diff(patient[places])) + 1)
    for number in range(1, permutations + 1):
        order = np.random.default_rng(random_key(number, "label permutation")).permutation(len(of_patient))
        permuted = np.empty_like(y)
        permuted[places] = y[np.concatenate([of_patient[i] for i in order])]
        yield permuted
