"""A final run's test predictions as tables: one row per progression pair, one per scan."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.training.classifiers import Array
from learner_ray.training.progression import Embedded, clip_pairs

WITH_EARLIER_SCORE = "with_earlier_score.parquet"
"""File of the test predictions that the earlier score has a part in; older runs have none."""
WEIGHTS = ("weight_earlier_score", "weight_own")
"""Its further columns: the weights of the earlier score's log-odds and of the arm's own in the run."""


def pair_table(
    cohort: Cohort,
    pairs: pd.DataFrame,
    scans: pd.DataFrame,
    probabilities: Array,
    decided: NDArray[np.int64],
    embedded: Embedded,
) -> pd.DataFrame:
    """The ledger's columns that a run itself knows, one row per test pair.

    Args:
        cohort: the cohort, which has the pseudonyms of patients.
        pairs: the N test pairs, with the columns of :meth:`Cohort.pairs`.
        scans: the scans of the test patients.
        probabilities: (N, 3) class probabilities; (N, 2) where the endpoint is decline: the classes are then
            0 worse and 1 not worse, and ``p_same`` and ``p_better`` are empty.
        decided: (N,) the classes decided on.
        embedded: embeddings and predicted scores of the scans.

    Returns:
        ``p_*`` are class probabilities and ``y_pred`` the class decided on. Predicted scores and the cosine
        distance of the embeddings are means over a pair's clips, NaN for a control without an encoder.
    """
    table = pd.DataFrame(
        {
            "patient": [cohort.pseudonym(p) for p in pairs["patient"]],
            "pair": hidden_pairs(cohort, pairs),
            "site": pairs["site"].to_numpy(),
            "device": pairs["device"].to_numpy(),
            "interval_days": pairs["interval_days"].to_numpy(float),
            "y_true": np.minimum(pairs["y"].to_numpy(np.int64), probabilities.shape[1] - 1),
            "y_pred": decided.astype(np.int64),
        }
    )
    for column, name in enumerate(("p_worse", "p_same", "p_better")):
        known = column == 0 or probabilities.shape[1] == 3
        table[name] = probabilities[:, column] if known else np.nan
    for name in ("score_earlier", "score_later", "change"):
        table[name] = pairs[name].to_numpy(float)
    return table.join(_encoder_columns(pairs, scans, embedded))


def hidden_pairs(cohort: Cohort, pairs: pd.DataFrame) -> list[str]:
    """Pair names that give away neither who the patient is nor when the visits were, one per row of
    ``pairs``: ``PSEUDONYM:1>2`` of the first and the second visit."""
    return [
        f"{cohort.pseudonym(p)}:{cohort.visit_rank(p, earlier)}>{cohort.visit_rank(p, later)}"
        for p, earlier, later in zip(pairs["patient"], pairs["earlier"], pairs["later"], strict=True)
    ]


def _encoder_columns(pairs: pd.DataFrame, scans: pd.DataFrame, embedded: Embedded) -> pd.DataFrame:
    names = ["pred_earlier", "pred_later", "distance"]
    if not embedded.embeddings:
        return pd.DataFrame(np.nan, index=range(len(pairs)), columns=names)
    rows = []
    for index, earlier, later in clip_pairs(pairs, scans).itertuples(index=False):
        a, b = embedded.embeddings[earlier].astype(float), embedded.embeddings[later].astype(float)
        lengths = max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
        distance = 1 - float(a @ b) / lengths
        rows.append((index, embedded.predictions[earlier], embedded.predictions[later], distance))
    means = pd.DataFrame(rows, columns=["index", *names]).groupby("index").mean()
    return means.reindex(range(len(pairs)))


def embedding_table(cohort: Cohort, scans: pd.DataFrame, embedded: Embedded) -> pd.DataFrame:
    """The embedding of each test scan, one row per scan: patient, visit and scan as in :func:`score_table`,
    and ``embedding``, a list of D float32 numbers."""
    table = score_table(cohort, scans, embedded)[["patient", "visit", "scan"]]
    embeddings = [np.asarray(embedded.embeddings[scan], dtype=np.float32) for scan in scans["scan"]]
    return table.assign(embedding=pd.Series(embeddings, dtype=object))


def score_table(cohort: Cohort, scans: pd.DataFrame, embedded: Embedded) -> pd.DataFrame:
    """The true and the predicted score of each test scan, one row per scan: patient (pseudonym), visit (its
    rank among the patient's), scan (the pseudonym and the row's number), score and predicted."""
    return pd.DataFrame(
        {
            "patient": [cohort.pseudonym(p) for p in scans["patient"]],
            "visit": [cohort.visit_rank(*of) for of in zip(scans["patient"], scans["visit"], strict=True)],
            "scan": [f"{cohort.pseudonym(p)}:{i}" for i, p in enumerate(scans["patient"])],
            "score": scans["score"].to_numpy(float),
            "predicted": [embedded.predictions[scan] for scan in scans["scan"]],
        }
    )
