"""The final runs of one arm of a study as an ensemble: which they are, and what they say together.

How they are calibrated and how sets are made is in ``analysis.statistics``; this module finds the runs and
writes the table.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.core.errors import UserError
from learner_ray.core.names import printable

if TYPE_CHECKING:
    from analysis.results.study import StudyResults
    from analysis.statistics.ensemble import Ensemble
    from analysis.statistics.metrics import Array
    from learner_ray.training.ensemble import ManyPredictions

logger = logging.getLogger(__name__)

RUN = ["repeat", "fold", "seed", "run_hash"]
FAR = "far"
"""The word of a scan that lies farther from the cohort than almost all of its own scans do."""


@dataclass(frozen=True, kw_only=True)
class ArmEnsemble:
    """The complete final runs of one arm, calibrated on the study's own test pairs."""

    study: StudyResults
    arm: str
    runs: pd.DataFrame
    """One row per run, with the columns ``RUN``."""
    ensemble: Ensemble

    @property
    def folders(self) -> list[Path]:
        """The folders of the runs, in their order."""
        from analysis.results.run_files import run_folder

        return [run_folder(self.study, run) for run in self.runs["run_hash"]]

    @property
    def modality(self) -> str:
        """The modality that the runs were trained on."""
        return str(self.study.info.get("modality") or "")

    def by_fold(self, probabilities: Array) -> Array:
        """The means over the runs of each fold, (folds, M, C), of what every run says of M pairs.

        Args:
            probabilities: of the pairs by each run, (runs, M, C).
        """
        from analysis.statistics.ensemble import fold_means

        of_run = list(zip(self.runs["repeat"].astype(int), self.runs["fold"].astype(int), strict=True))
        return fold_means(probabilities, of_run, self.ensemble.known.folds)

    def describe(self, level: float) -> list[str]:
        """Lines that say what the ensemble is made of and calibrated on."""
        from analysis.results.final_runs import declared_runs
        from analysis.statistics.conformal import least_patients

        study, known = self.study, self.ensemble.known
        cautions = f" ({', '.join(study.cautions)})" if study.cautions else ""
        missing = len(declared_runs(study.info, study.ledger)) - len(self.runs)
        numbers = {name: self.runs[name].nunique() for name in RUN[:3]}
        sizes = ", ".join(f"{count} {name}{'s' * (count > 1)}" for name, count in numbers.items())
        lines = [
            f"arm {self.arm} of {study.folder}{cautions}: {len(self.runs)} final runs of {sizes}"
            + (f"; {missing} that failed or have not ended are left out" if missing else ""),
            f"calibrated on {known.patients} patients and {len(known.y)} out-of-fold pairs: exponent "
            f"{self.ensemble.temperature.exponent:.2f} (1 leaves probabilities as they are, 0 leaves the "
            "shares of the classes alone)",
        ]
        if known.patients < least_patients(level):
            lines.append(
                f"sets at level {level:g} always hold every class: that needs {least_patients(level)} "
                f"patients to compare with, and there are {known.patients}"
            )
        return lines


def arm_ensemble(folder: Path, arm: str | None) -> ArmEnsemble:
    """The ensemble of an arm.

    Args:
        folder: the study's results folder.
        arm: its name; None where the study has a single one with an encoder.

    Raises:
        UserError: the folder holds no study with such an arm.
    """
    from analysis.results.errors import ReportError
    from analysis.results.load import load
    from analysis.statistics.ensemble import Ensemble, OutOfFold

    try:
        (study,) = load([folder]).studies
    except ReportError as error:
        raise UserError(str(error)) from error
    rows = study.ledger
    if "distance" in rows:  # a control without an encoder has none, nor has a failed run
        rows = rows[rows["distance"].notna() & ~rows["imputed"].astype(bool)]
    name = _chosen(study, rows, arm)
    rows = rows[rows["arm"] == name]
    runs = rows[RUN].drop_duplicates().sort_values(RUN, ignore_index=True)
    return ArmEnsemble(study=study, arm=name, runs=runs, ensemble=Ensemble.of(OutOfFold.of(rows)))


def _chosen(study: StudyResults, rows: pd.DataFrame, arm: str | None) -> str:
    there = [name for name in study.ordered_arms if name in set(rows["arm"])]
    if not there:
        raise UserError(
            f"{study.folder} has no complete final run with an encoder: nothing can predict. Run the study's "
            "command again"
        )
    shown = ", ".join(f"{name} (the reference)" if name == study.reference else name for name in there)
    if arm is None and len(there) > 1:
        raise UserError(
            f"{study.folder} has final runs of several arms: name one with --arm: {printable(shown)}. An arm "
            "chosen because it did best on the test patients looks better than it is"
        )
    if arm is not None and arm not in there:
        raise UserError(
            f"--arm {printable(arm)}: {study.folder} has no complete final run of that name with an encoder; "
            f"there are {printable(shown)}"
        )
    return arm or there[0]


def ensemble_table(of: ArmEnsemble, found: ManyPredictions, level: float, made_with: str) -> pd.DataFrame:
    """One row per scan: what the runs predict together (docs/ensemble.md has the columns).

    Args:
        of: the ensemble.
        found: what its runs predict, in their order.
        level: of the sets.
        made_with: versions that predicted.
    """
    from learner_ray.training.prediction import probability_columns

    scores = np.stack([run.predicted for run in found.runs])
    spread = scores.std(0, ddof=1) if len(scores) > 1 else np.full(scores.shape[1], np.nan)
    share = shares_as_far(of, found)
    changes = found.pairs.rename(columns={"earlier": "since", "later": "visit"})
    raw, calibrated, sets = _changes(of, found, level)
    names = probability_columns(found.classes)
    changes[[f"raw_{name}" for name in names]] = raw
    changes[names] = calibrated
    changes["set"] = [" ".join(_joined(found.classes, row)) for row in sets]
    changes["decided"] = [found.classes[c] for c in found.decided()]
    table = found.scans[["patient", "visit", "scan"]].assign(
        predicted=scores.mean(0), spread=spread, score=found.score.name, unit=found.score.unit,
        share_as_far=share, outside=_words(share, found.unlike),
    )  # fmt: skip
    table = table.merge(changes, on=["patient", "visit"], how="left")
    return table.assign(
        level=level, arm=of.arm, runs=len(of.runs), trained_on=found.trained_on, predicted_with=made_with
    )


def _joined(classes: Sequence[str], row: NDArray[np.bool_]) -> list[str]:
    return [name.replace(" ", "_") for name, there in zip(classes, row, strict=True) if there]


def _changes(of: ArmEnsemble, found: ManyPredictions, level: float) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Probabilities before and after calibration and sets of the pairs, (M, C) each."""
    p = np.stack([run.probabilities for run in found.runs])
    predicted = of.ensemble.predict(of.by_fold(p), level)
    whole = int(predicted.sets.all(1).sum())
    if whole:
        logger.warning(
            "%d of %d sets hold every class: at level %g nothing is ruled out there", whole, len(p[0]), level
        )
    return predicted.raw, predicted.calibrated, predicted.sets


def shares_as_far(of: ArmEnsemble, found: ManyPredictions) -> Array:
    """The share of the cohort's patients whose scans lie as far from the others, (N,); NaN where it is not
    known."""
    from analysis.results.embeddings import read_embeddings
    from analysis.statistics.nearest_scans import FAR as LIMIT
    from analysis.statistics.nearest_scans import TestScans
    from analysis.statistics.nearest_scans import shares_as_far as as_far

    tests, new = [], []
    for run, predicted in zip(of.runs["run_hash"], found.runs, strict=True):
        stored = read_embeddings(of.study, run)
        if stored is not None and stored["patient"].nunique() > 1:
            patient = stored["patient"].to_numpy(np.str_)
            tests.append(TestScans(np.stack(list(stored["embedding"])), patient))
            new.append(predicted.embeddings)
    if not tests:
        logger.warning("whether scans are like the cohort's is not known: its runs have no embeddings")
        return np.full(len(found.scans), np.nan)
    share = as_far(tests, new)
    patients = of.ensemble.known.patients
    if 1 / (patients + 1) > LIMIT:
        logger.warning("%d patients are too few to call a scan farther than almost all of theirs", patients)
    far = int((share <= LIMIT).sum())
    if far:
        logger.warning(
            "%d of %d scans lie farther from the cohort's scans than those of %g %% of its patients do from "
            "each other (column outside): what is predicted of them is not covered by calibration and sets",
            far, len(share), 100 * (1 - LIMIT),
        )  # fmt: skip
    return share


def _words(share: Array, unlike: list[list[str]] | None) -> list[str]:
    """What is unlike the cohort about each scan: ``far``, ``size``, ``mm``, or nothing."""
    from analysis.statistics.nearest_scans import FAR as LIMIT

    if unlike is None:
        logger.warning("sizes are not compared with the cohort's: its files are not here")
    elif others := sum(map(bool, unlike)):
        logger.warning(
            "%d of %d scans have frames, voxels or a field of another size than any scan of the cohort "
            "(column outside)", others, len(unlike),
        )  # fmt: skip
    headers = unlike or [[] for _ in share]
    return [
        " ".join([*([FAR] if value <= LIMIT else []), *words])
        for value, words in zip(share, headers, strict=True)
    ]


def record(of: ArmEnsemble, level: float) -> dict[str, Any]:
    """What an ensemble's table was made of, for the JSON beside it."""
    known, temperature = of.ensemble.known, of.ensemble.temperature
    return {
        "arm": of.arm,
        "study": str(of.study.info.get("study") or ""),
        "cautions": list(of.study.cautions),
        "runs": of.runs.to_dict("records"),
        "level": level,
        "calibration": {
            "patients": known.patients,
            "pairs": len(known.y),
            "exponent": temperature.exponent,
            "shares": dict(zip(of.study.classes, temperature.shares.tolist(), strict=True)),
        },
    }
