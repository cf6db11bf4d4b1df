"""The table of far errors: pairs that were called worse where truly better, or the reverse, scan by scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import pandas as pd

from analysis.results.final_runs import RUN
from analysis.results.patient_numbers import visit_numbers, with_numbers
from analysis.results.run_columns import with_run_counts
from analysis.results.study import StudyResults
from analysis.statistics.study_statistics import StudyStatistics
from analysis.tables.captions import header, row_label, run_cautions
from analysis.tables.table import NONE, Table, panel_of, plain_number

SHOWN = 20
"""Pairs of a study that a reader sees; the CSV has all."""
COLUMNS = ["Scans", "Score", "True", "Predicted", "Probability", "Runs that err", "Of these, by arm"]
WRITTEN = (
    "study", "patient", "pair", "scans_earlier", "scans_later", "score_earlier", "score_later", "change",
    "true", "predicted", "arm", "label", "probability", "runs_wrong", "runs_tested", "arms_wrong",
    "n_arms_wrong", "n_runs_wrong", "n_runs_tested", "run_hashes",
)  # fmt: skip
"""Columns of the CSV, where the ledger has what they are made of."""


def far_errors_table(statistics: Sequence[StudyStatistics]) -> Table | None:
    """Table the pairs that arms confused by two classes; None where no arm has."""
    panels, frames, cautions, notes = [], [], [], []
    for item in statistics:
        data = far_errors(item.study)
        if data.empty:
            continue
        data = with_numbers(data, item.study)
        frames.append(data)
        cautions += run_cautions(item.study)
        pairs = list(data.groupby(["patient", "pair"], sort=False))
        panels.append(
            (header(item.study), panel_of([_row(item.study, rows) for _, rows in pairs[:SHOWN]], COLUMNS))
        )
        if len(pairs) > SHOWN:
            notes.append(
                f"{item.study.title}: {len(pairs) - SHOWN} more pairs with a far error are in "
                "tables/far_errors.csv."
            )
    if not frames:
        return None
    notes.append(
        "Pairs that final runs of arms (controls and failed runs left out) called worse where truly better, "
        "or the reverse; first those that most runs of most arms got wrong. Probability: of the class "
        "predicted, mean over the runs that erred. Patients are numbered in the order of their pseudonyms in "
        "ledger.parquet, visits in time; VISIT/K is the K-th scan of the visit, in the order of scan ids "
        "that content.json in the results folder has."
    )
    return Table(
        name="far_errors", title="Far errors by scan", data=pd.concat(frames, ignore_index=True),
        panels=panels, notes=notes, cautions=cautions,
    )  # fmt: skip


def far_errors(study: StudyResults) -> pd.DataFrame:
    """Count the far errors of each arm, pair by pair.

    Returns:
        One row per pair and arm that got it wrong by two classes in some final run: patient (pseudonym),
        pair, scans, scores, classes, ``probability`` of the class predicted (mean over the runs that erred),
        ``runs_wrong`` of the ``runs_tested``, ``arms_wrong`` with a far error of the pair, the runs of all
        arms (``n_runs_wrong`` of ``n_runs_tested``), and the hashes of the arm's runs that erred. First the
        pairs that most runs of most arms got wrong.
    """
    controls = {arm.name for arm in study.arms if arm.control}
    tested = study.compared
    tested = tested[~tested["arm"].isin(controls) & ~tested["imputed"]]
    wrong = tested[(tested["y_true"] - tested["y_pred"]).abs() == 2]
    if wrong.empty:
        return pd.DataFrame()
    key = ["patient", "pair", "arm"]
    found = wrong.assign(probability=_probability(wrong)).groupby(key, sort=True)
    data = found.agg(
        **{name: (name, "first") for name in ("score_earlier", "score_later", "change") if name in wrong},
        true=("y_true", "first"), predicted=("y_pred", "first"), probability=("probability", "mean"),
        runs_wrong=("y_pred", "size"), run_hashes=("run_hash", lambda hashes: ";".join(sorted(hashes))),
    ).reset_index()  # fmt: skip
    data["runs_tested"] = tested.groupby(key).size().reindex(pd.MultiIndex.from_frame(data[key])).to_numpy()
    data["label"] = data["arm"].map(study.labels)
    of_pair = data.groupby(["patient", "pair"])
    data["arms_wrong"] = of_pair["arm"].transform(lambda arms: ";".join(sorted(arms)))
    data["n_arms_wrong"] = of_pair["arm"].transform("size")
    data["n_runs_wrong"] = of_pair["runs_wrong"].transform("sum")
    of_all = tested.groupby(["patient", "pair"]).size()
    data["n_runs_tested"] = of_all.reindex(pd.MultiIndex.from_frame(data[["patient", "pair"]])).to_numpy()
    named = {side: data[side].map(dict(enumerate(study.classes))) for side in ("true", "predicted")}
    data = _with_scans(data.assign(study=study.key, **named), study)
    order = {"n_runs_wrong": False, "n_arms_wrong": False, "patient": True, "pair": True, "runs_wrong": False}
    data = data.sort_values([*order, "arm"], ascending=[*order.values(), True], ignore_index=True)
    return with_run_counts(data[[name for name in WRITTEN if name in data]], study)


def _probability(rows: pd.DataFrame) -> pd.Series[float]:
    """Probability of the class that was decided on."""
    p = rows[["p_worse", "p_same", "p_better"]].to_numpy(dtype=float)
    return pd.Series(p[range(len(rows)), rows["y_pred"]], index=rows.index)


def _with_scans(data: pd.DataFrame, study: StudyResults) -> pd.DataFrame:
    """Add the scans of both visits; empty where no arm with an encoder has tested the pair."""
    names = _scans_by_pair(study.scores, set(data["pair"]), visit_numbers(study))
    sides = pd.DataFrame(
        [names.get(pair, ("", "")) for pair in data["pair"]], columns=["scans_earlier", "scans_later"]
    )
    return pd.concat([data, sides], axis=1)


def _scans_by_pair(
    scores: pd.DataFrame, pairs: set[str], numbers: Mapping[str, Mapping[str, str]]
) -> Mapping[str, tuple[str, str]]:
    """The scans of the earlier and of the later visit of some pairs, such as ``1/1; 1/2`` and ``2/1``, by
    the visits' numbers.

    A pair is called after its patient and visits (``PATIENT:EARLIER>LATER``). Runs number scans by their
    place among their own test scans, which another partition changes, so scans are counted by visit here.
    """
    if scores.empty or not {"visit", "scan"} <= set(scores.columns):
        return {}
    run = ["arm", *RUN]
    counted = scores.groupby(["patient", "visit", *run])["scan"].nunique()
    clips = counted.groupby(["patient", "visit"]).max().reset_index()
    found = {}
    for patient, visits in clips.groupby("patient"):
        shown = numbers.get(str(patient), {})
        named = {
            visit: "; ".join(f"{shown.get(visit, '?')}/{k + 1}" for k in range(n))
            for visit, n in zip(visits["visit"].map(str), visits["scan"], strict=True)
        }
        for earlier, later in permutations(named, 2):
            if (pair := f"{patient}:{earlier}>{later}") in pairs:
                found[pair] = (named[earlier], named[later])
    return found


def _row(study: StudyResults, rows: pd.DataFrame) -> tuple[str, list[str]]:
    """The row of one pair, whose lines are its arms."""
    first = rows.iloc[0]
    scores = [f"{first[name]:g}" for name in ("score_earlier", "score_later") if name in rows]
    scans = " > ".join(text for text in (first["scans_earlier"], first["scans_later"]) if text)
    arms = "; ".join(
        f"{row_label(study, row['arm'])} {row['runs_wrong']} of {row['runs_tested']}"
        for _, row in rows.iterrows()
    )
    mean = (rows["probability"] * rows["runs_wrong"]).sum() / rows["runs_wrong"].sum()
    cells = [scans or NONE, " > ".join(scores) or NONE, first["true"], first["predicted"], plain_number(mean)]
    runs = f"{first['n_runs_wrong']} of {first['n_runs_tested']}"
    return str(first["pair"]), [*cells, runs, arms]
