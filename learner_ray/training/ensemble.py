"""Prediction of new scans by several final runs, each by itself: what they say is not averaged here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort import Score
from learner_ray.core.errors import PlaceError, UserError
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging.header_sizes import header_sizes, unlike
from learner_ray.imaging.source import open_cohort
from learner_ray.run.folder import RunFolder
from learner_ray.run.object_storage import is_url
from learner_ray.run.spec import Source
from learner_ray.training.prediction import RunPredictions, consecutive, opened, run_predictions, trained_on
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import class_names, decided

_COMPARED = 300
"""Headers of a cohort that are read at most, evenly spread."""


@dataclass(frozen=True, kw_only=True)
class ManyPredictions:
    """What several final runs of one arm say of the same scans."""

    runs: list[RunPredictions]
    scans: pd.DataFrame
    """The N scans that could be read."""
    pairs: pd.DataFrame
    """The M pairs, as :func:`consecutive` gives them."""
    score: Score
    classes: tuple[str, ...]
    decision: str
    """How a class is decided on: ``progression.decision`` of the arm."""
    trained_on: str
    unlike: list[list[str]] | None
    """Words of each scan whose header states sizes that none of the cohort has (``header_sizes``); None where
    the cohort's files are not here to compare with."""

    def decided(self) -> NDArray[np.int64]:
        """The class of each pair by the means over the runs, by the arm's own rule: (M,)."""
        p = np.mean([run.probabilities for run in self.runs], axis=0)
        prior = np.mean([run.prior for run in self.runs], axis=0)
        return decided(p, prior, self.decision)


def predict_with_all(
    folders: Sequence[Path],
    scans: pd.DataFrame,
    device: str = "cpu",
    study_file: Path | None = None,
    *,
    skip_bad: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
) -> ManyPredictions:
    """Predicts scans with several final runs, one in memory at a time. Scans are decoded once for all runs
    that see the same pixels.

    Args:
        folders: of complete final runs of one arm.
        scans: with the columns of ``Scan``.
        device: ``cpu`` or ``cuda``.
        study_file: the file that the user named for the runs' own code.
        skip_bad: leave out scans that cannot be read.
        most_gb: GB of values that a scan may have.

    Raises:
        UserError: a folder holds no complete final run, or scans are of another kind or cannot be read.
    """
    alike: dict[object, list[Path]] = {}
    for folder in folders:
        alike.setdefault(RunFolder(folder).read_spec().config.data.pixels, []).append(folder)
    found: dict[Path, RunPredictions] = {}
    for some in alike.values():
        predictor = Predictor.load(some[0], device, study_file)
        with opened(predictor, scans, skip_bad=skip_bad, most_gb=most_gb) as data:
            for folder in some:
                if folder != some[0]:
                    predictor = Predictor.load(folder, device, study_file)
                found[folder] = run_predictions(predictor, data)
    readable = data.scans.reset_index(drop=True)
    config = predictor.progression.config
    return ManyPredictions(
        runs=[found[folder] for folder in folders],
        scans=readable,
        pairs=consecutive(readable),
        score=predictor.score,
        classes=class_names(config),
        decision=config.decision,
        trained_on=trained_on(predictor),
        unlike=_unlike(readable, predictor.spec.source),
    )


def _unlike(scans: pd.DataFrame, source: Source) -> list[list[str]] | None:
    """How headers of scans differ from those of up to ``_COMPARED`` scans of a cohort; None where its files
    are not on this machine: they are not fetched for this alone."""
    if is_url(source.path):
        return None
    try:
        files = open_cohort(source).scans["files"].tolist()
    except (UserError, PlaceError, OSError):
        return None
    known = header_sizes(files[:: -(-len(files) // _COMPARED)])
    return unlike(header_sizes(scans["files"].tolist()), known) if any(known) else None
