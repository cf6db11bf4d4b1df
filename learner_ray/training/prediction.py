"""Prediction of new scans by a final run: the table and the embeddings."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.cohort.cohort import Scan, scan_table
from learner_ray.cohort.manifest import read_unscored
from learner_ray.cohort.scan_files import files_of_scan
from learner_ray.cohort.sidecar import stated_modality
from learner_ray.cohort.table import SUFFIXES
from learner_ray.core.errors import UserError
from learner_ray.core.files import write_atomic
from learner_ray.core.names import spreadsheet_cell
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging.cache import build_cache
from learner_ray.imaging.gate import warnings
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.looks import describe_looks
from learner_ray.imaging.reader import reader_version
from learner_ray.run.provenance import versions
from learner_ray.training.classifiers import Array
from learner_ray.training.data import Data
from learner_ray.training.predictor import Predictor
from learner_ray.training.progression import class_names

logger = logging.getLogger(__name__)

Embeddings = NDArray[np.float32]

STATED = ("learner-ray", "torch", "numpy")
"""Packages whose versions stand in every row; ``predictor.json`` of the run has all."""


def given(paths: Sequence[str]) -> pd.DataFrame:
    """The scans of the command line, each a visit of one patient, with the columns of ``Scan``.

    Raises:
        UserError: a scan is given twice, or a folder or one of a pair of files is no scan.
    """
    twice = sorted({path for path in paths if list(paths).count(path) > 1})
    if twice:
        raise UserError(f"{', '.join(twice)}: given twice; give each scan once")
    return scan_table(
        Scan(
            scan=path,
            files=_files(path),
            patient="",
            visit=str(number),
            order=float(number),
            score=float("nan"),
            source="command line",
            row=number,
        )
        for number, path in enumerate(paths, start=1)
    )


def _files(path: str) -> tuple[str, ...]:
    """The files of a scan of the command line; one that does not exist is left to the reader."""
    if not Path(path).exists():
        return tuple(path.split(","))
    files = files_of_scan(path)
    if isinstance(files, str):
        raise UserError(f"{path} {files}")
    return files


def listed(manifest: Path, trained: str) -> pd.DataFrame:
    """The scans of a manifest, with the columns of ``Scan``; its scores, if any, are not read.

    Args:
        manifest: the file.
        trained: the modality of the runs that are to predict.

    Raises:
        UserError: the manifest is faulty, or of another modality.
    """
    if not manifest.is_file() or manifest.suffix.lower() not in SUFFIXES:
        raise UserError(f"no manifest at {manifest}; give a file ending in {' or '.join(SUFFIXES)}")
    modality = stated_modality(manifest)
    if modality not in ("", trained):
        raise UserError(f"{manifest} lists scans of modality {modality}; this run was trained on {trained}")
    return read_unscored(manifest)


def predict(
    predictor: Predictor,
    scans: pd.DataFrame,
    *,
    skip_bad: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
) -> tuple[pd.DataFrame, Embeddings]:
    """Predicts scans: a table with one row per scan, and the embeddings (N, width of the encoder) of
    its rows.

    Raises:
        UserError: scans are of a kind that the run was not trained on, or cannot be read.
    """
    with opened(predictor, scans, skip_bad=skip_bad, most_gb=most_gb) as data:
        found = run_predictions(predictor, data)
    return _table(predictor, data.scans.reset_index(drop=True), found), found.embeddings


@contextmanager
def opened(
    predictor: Predictor,
    scans: pd.DataFrame,
    *,
    skip_bad: bool = False,
    most_gb: float = DEFAULT_SCAN_GB,
) -> Iterator[Data]:
    """Decodes scans as a run sees them, into a folder that goes again, and warns of what is unusual.

    Raises:
        UserError: as :func:`predict`.
    """
    _check_kinds(predictor, scans)
    cohort = Cohort(name="", modality=predictor.modality, score=predictor.score, scans=scans)
    # A folder that goes again: no copy of a patient's pixels is left behind.
    with tempfile.TemporaryDirectory() as temporary:
        pixels, root = predictor.spec.config.data.pixels, Path(temporary)
        shown, geometry = cohort.shown(crop=pixels.crop, mask=pixels.mask), Geometry.of(pixels)
        cache = build_cache(
            shown,
            pixels.image_size,
            geometry=geometry,
            root=root,
            skip_bad=skip_bad,
            most_gb=most_gb,
        )
        for bad in cache.bad.values():
            logger.warning("left out: %s", bad)
        for line in warnings(describe_looks(cache.looks)):
            logger.warning(line)
        _warn_of_other_reading(predictor, shown)
        readable = cohort.scans[[scan in cache for scan in cohort.scans["scan"]]]
        yield Data(cohort=cohort, cache=cache, scans=readable.set_index("scan", drop=False))


def _warn_of_other_reading(predictor: Predictor, shown: Cohort) -> None:
    """Warns where scans are read otherwise than in training."""
    for column in predictor.description.get("regions", ()):  # an older version knew neither
        if whole := int((shown.scans[column] == "").sum()):
            logger.warning(
                "the run was trained on scans with a %s; %d of these have none and are seen whole",
                column,
                whole,
            )
    if predictor.description["reader"] != reader_version(predictor.kinds):
        logger.warning("pixels were read by %s in training", predictor.description["reader"])


@dataclass(frozen=True, kw_only=True)
class RunPredictions:
    """What one final run says of N scans and the M consecutive visit pairs among them."""

    predicted: Array
    """Scores in the score's unit, (N,)."""
    embeddings: NDArray[np.float32]
    """(N, width of the encoder)."""
    probabilities: Array
    """(M, C)."""
    prior: Array
    """Shares of the classes in the run's fit, (C,)."""


def run_predictions(predictor: Predictor, data: Data) -> RunPredictions:
    """What a run says of scans and of the pairs of consecutive visits among them."""
    embedded, scans = predictor.embed(data), data.scans.reset_index(drop=True)
    pairs = consecutive(scans)
    probabilities = np.empty((0, predictor.progression.config.classes))
    if len(pairs):
        probabilities = predictor.progression.predict(pairs, scans, embedded)
    return RunPredictions(
        predicted=np.array([embedded.predictions[scan] for scan in scans["scan"]], dtype=float),
        embeddings=np.stack([embedded.embeddings[scan] for scan in scans["scan"]]).astype(np.float32),
        probabilities=probabilities,
        prior=predictor.progression.prior,
    )


def _table(predictor: Predictor, scans: pd.DataFrame, found: RunPredictions) -> pd.DataFrame:
    changes = consecutive(scans).rename(columns={"earlier": "since", "later": "visit"})
    names = class_names(predictor.progression.config)
    changes[probability_columns(names)] = found.probabilities
    changes["decided"] = [names[c] for c in predictor.progression.decide(found.probabilities)]
    table = scans[["patient", "visit", "scan"]].assign(
        predicted=found.predicted,
        score=predictor.score.name,
        unit=predictor.score.unit,
    )
    return table.merge(changes, on=["patient", "visit"], how="left").assign(**_provenance(predictor))


def probability_columns(names: Sequence[str]) -> list[str]:
    """The columns that the classes' probabilities are written in: ``p_not_worse``."""
    return [f"p_{name}".replace(" ", "_") for name in names]


def _check_kinds(predictor: Predictor, scans: pd.DataFrame) -> None:
    """Refuses scans of another kind before any is read; missing files are left to the cache, which lists
    all."""
    kinds = scans["files"].map(kind_of_scan)
    wrong = [
        f"  {row.source}, row {row.row}: {row.scan} is {kind}"
        for row, kind in zip(scans.itertuples(index=False), kinds, strict=True)
        if kind not in predictor.kinds
    ]
    if wrong:
        trained = (
            f"this run was trained on {predictor.modality} scans that are {' or '.join(predictor.kinds)}:"
        )
        raise UserError("\n".join([trained, *wrong]))


def consecutive(scans: pd.DataFrame) -> pd.DataFrame:
    """Consecutive visits of each patient: columns patient, earlier, later, interval_days."""
    visits = scans.drop_duplicates(["patient", "visit"]).sort_values(["patient", "order"], ignore_index=True)
    before = visits.groupby("patient").shift(1)
    pairs = pd.DataFrame(
        {
            "patient": visits["patient"],
            "earlier": before["visit"],
            "later": visits["visit"],
            "interval_days": visits["day"] - before["day"],
        }
    )
    return pairs[before["visit"].notna()].reset_index(drop=True)


def _provenance(predictor: Predictor) -> dict[str, str]:
    """The columns that say what made a row."""
    made = predictor.description
    return {
        "run_hash": predictor.spec.hash,
        "trained_on": trained_on(predictor),
        "trained_with": _stated(made["versions"]),
        "predicted_with": predicted_with(),
    }


def trained_on(predictor: Predictor) -> str:
    """The cohort of a run in words, ``phantom`` among them where it is one."""
    made = predictor.description
    return f"{'phantom ' if made['phantom'] else ''}{made['cohort']} ({made['modality']})"


def predicted_with() -> str:
    """The versions here."""
    return _stated(versions())


def _stated(found: Mapping[str, str]) -> str:
    return " ".join(f"{name}-{found[name]}" for name in STATED if name in found)


def as_csv(table: pd.DataFrame) -> str:
    """A table of predictions as CSV, in which no name is a formula for a spreadsheet."""
    named = {name: table[name].map(_cell) for name in ("scan", "patient", "visit") if name in table}
    return table.assign(**named).to_csv(index=False)


def _cell(value: object) -> object:
    return spreadsheet_cell(value) if isinstance(value, str) else value


def write(table: pd.DataFrame, embeddings: Embeddings, out: Path) -> None:
    """Writes the table and the embeddings (N, D), each whole or not at all."""
    buffer = io.BytesIO()
    np.save(buffer, embeddings, allow_pickle=False)
    write_atomic(out.with_suffix(".npy"), buffer.getvalue())
    write_atomic(out, as_csv(table))
