"""A cohort: all scans of one modality, and the progression pairs in them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from learner_ray.cohort.content import content_hashes
from learner_ray.cohort.covariates import NAMES as COVARIATES
from learner_ray.cohort.covariates import SEEN
from learner_ray.cohort.crop import normal_crop
from learner_ray.cohort.missing import Listed
from learner_ray.cohort.patients import normal_form
from learner_ray.cohort.pseudonyms import pseudonym, pseudonym_key
from learner_ray.cohort.score import Score

_MIXED = "+"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One clip or volume, and where it is listed."""

    scan: str
    """Unique id that does not change when the data are moved."""
    files: tuple[str, ...]
    """Absolute paths. Several files are frames, stacked in this order."""
    patient: str
    """Id of the patient, as written."""
    visit: str
    """Name of the visit, unique within the patient."""
    order: float
    """Sorts the visits of a patient."""
    day: float = float("nan")
    """Time of the visit in days since any day that is the same for all visits of the patient; NaN where
    unknown."""
    score: float
    """The visit's score, hence the same for all its scans."""
    view: str = ""
    """Where the scan was taken, such as a lung point; scans of one view are compared with each other."""
    site: str = ""
    """Hospital or centre."""
    device: str = ""
    """Scanner or probe."""
    age: float = float("nan")
    """Years of the patient at the visit; NaN where unknown."""
    sex: str = ""
    """``F``, ``M`` or ``X``; empty where unknown."""
    education_years: float = float("nan")
    """Years of education of the patient; NaN where unknown."""
    spo2: float = float("nan")
    """Oxygen saturation of the patient at the visit in per cent; NaN where unknown."""
    crop: str = ""
    """The part of the picture to use, ``x0,y0,x1,y1`` in pixels of the file; empty where that is all."""
    mask: str = ""
    """Absolute path of a picture or volume that is above 0 where the scan is to be seen; empty where all of
    it is."""
    source: str
    """The file that lists the scan."""
    row: int
    """Its line there, from 1."""


COLUMNS = [field.name for field in dataclasses.fields(Scan)]


def files_read(scan: Any) -> tuple[str, ...]:
    """The files that a scan's pixels are made from: its own, and then its mask where it has one.

    Args:
        scan: a ``Scan``, or a row of a table of scans.
    """
    return (*scan.files, scan.mask) if scan.mask else tuple(scan.files)


def scan_table(scans: Iterable[Scan]) -> pd.DataFrame:
    """Scans as a table, one row each, with the columns of ``Scan``."""
    return pd.DataFrame([{c: getattr(scan, c) for c in COLUMNS} for scan in scans], columns=COLUMNS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cohort:
    """All scans of one modality with one score, as a reader checked them.

    Raises:
        ValueError: ``scans`` lacks a column, a scan id occurs twice, one patient has two spellings, or a crop
            is not written as ``Scan`` has it.
    """

    name: str
    """Name that tables and messages use."""
    modality: str
    """``lus``, ``mri`` or any other name."""
    score: Score
    """The score that every visit has."""
    scans: pd.DataFrame
    """One row per scan, with the columns of ``Scan``, sorted by patient, visit and scan: the order in which
    the scans were listed decides nothing."""
    temporal: bool = True
    """Whether a later visit is later in time; if not, pairs are of places and not of times."""
    phantom: bool = False
    """Whether the scans were made up by a program."""
    notes: tuple[str, ...] = ()
    """What was left out or taken for granted in reading, one sentence each."""
    listed: Listed | None = None
    """What the source lists or finds before anything is left out; None where it does not count."""
    ratings: Mapping[str, float] = field(default_factory=dict)
    """What single scans were scored, by scan id, where several of a visit were; no run sees them."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of files that were read already, by path. Other files are read when ``hash`` needs them."""

    def __post_init__(self) -> None:
        missing = set(COLUMNS) - set(self.scans.columns)
        if missing or self.scans["scan"].duplicated().any():
            raise ValueError(f"scans lack {missing}" if missing else "scan ids must be unique")
        patients = self.scans["patient"].unique()
        if len({normal_form(patient) for patient in patients}) < len(patients):
            raise ValueError("a patient is written in two ways; readers of a listing refuse it with its rows")
        for crop in self.scans["crop"].unique():
            if crop != normal_crop(crop):
                raise ValueError(
                    f"crop {crop!r} is not x0,y0,x1,y1 in whole pixels, with x0 < x1 and y0 < y1"
                )
        ordered = self.scans[COLUMNS].sort_values(["patient", "order", "scan"], ignore_index=True)
        object.__setattr__(self, "scans", ordered)

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """All patients, sorted."""
        return tuple(sorted(set(self.scans["patient"])))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """All files of all scans, masks among them, in the scans' order."""
        return tuple(path for row in self.scans.itertuples(index=False) for path in files_read(row))

    def shown(self, *, crop: str, mask: str) -> Cohort:
        """The cohort with the columns ``crop`` and ``mask`` empty where the configuration says ``none``."""
        unused = {name: "" for name, use in (("crop", crop), ("mask", mask)) if use == "none"}
        return dataclasses.replace(self, scans=self.scans.assign(**unused)) if unused else self

    def visits(self) -> pd.DataFrame:
        """One row per visit: patient, visit, order, day, score, scans (tuple of ids), site, device, age, sex,
        education_years, spo2."""
        return self._visits.copy()

    def pairs(self) -> pd.DataFrame:
        """Progression pairs, the consecutive visits of each patient.

        Columns: pair ("patient:earlier>later"), patient, earlier, later (visits), interval_days (NaN where
        unknown), score_earlier, score_later, change (healthier positive), y (0 worse, 1 same, 2 better),
        site, device ("earlier>later" where they differ); age and spo2 at the earlier visit (NaN where
        unknown), sex (empty where unknown) and education_years (NaN where unknown).
        """
        return self._pairs.copy()

    def ordered_pairs(self) -> pd.DataFrame:
        """Every two visits of each patient, in both orders; columns as in :meth:`pairs`.

        A pair in the wrong order has the class of the opposite change and a negative interval.
        """
        rows = self._visits.groupby("patient", sort=False).indices.values()
        both = [pair for visits in rows for pair in itertools.permutations(visits, 2)]
        earlier, later = np.array(both, dtype=np.int64).reshape(-1, 2).T
        return self._pairs_of(earlier, later)

    def class_counts(self) -> NDArray[np.int64]:
        """The number of pairs of each class, shape (3,): worse, same, better."""
        return np.bincount(self._pairs["y"].to_numpy(int), minlength=3)

    def summary(self) -> dict[str, Any]:
        """Counts as plain numbers: scans, visits, patients, patients_with_pairs, pairs, class_counts."""
        return {
            "scans": len(self.scans),
            "visits": len(self._visits),
            "patients": len(self.patients),
            "patients_with_pairs": int(self._pairs["patient"].nunique()),
            "pairs": len(self._pairs),
            "class_counts": self.class_counts().tolist(),
        }

    def pseudonym(self, patient: str) -> str:
        """What stands for a patient in results: twelve hexadecimal digits, the same wherever the cohort has
        these scans. Nobody who lacks them can confirm a guess of the id.

        Raises:
            UserError: a file cannot be read.
        """
        return pseudonym(self._pseudonym_key, patient)

    def visit_rank(self, patient: str, visit: str) -> str:
        """What stands for a visit in results: its number among the patient's visits in their order, from 1.
        A visit may be named by its date."""
        return self._ranks[patient, visit]

    @cached_property
    def held(self) -> dict[str, str]:
        """SHA-256 of every file, by path; files that are not in ``contents`` are read.

        Raises:
            UserError: a file cannot be read.
        """
        unread = set(self.paths) - self.contents.keys()
        return {**self.contents, **content_hashes(unread, among=self.paths)}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over the modality, the score's definition, and every scan's id, listing and content.

        Where the files lie, what the cohort is called and the order of the listing are no part of it, nor are
        age, sex, education and SpO2, which no encoder sees: see :attr:`covariates_hash`. Crops and masks are
        a part where there are any.

        Raises:
            UserError: a file cannot be read.
        """
        listed = [c for c in COLUMNS if c not in ("files", "crop", "mask", "source", "row", *COVARIATES)]
        rows = [
            [*map(_plain, row), [self.held[path] for path in files]]
            for *row, files in self.scans[[*listed, "files"]].itertuples(index=False, name=None)
        ]
        parts: list[Any] = [self.modality, self.score.to_dict(), rows]
        cut = self.scans[(self.scans["crop"] != "") | (self.scans["mask"] != "")]
        if len(cut):
            masks = [self.held[mask] if mask else "" for mask in cut["mask"]]
            parts.append([*zip(cut["scan"], cut["crop"], masks, strict=True)])
        text = json.dumps(parts, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _pseudonym_key(self) -> bytes:
        return pseudonym_key(self.held[path] for files in self.scans["files"] for path in files)

    @cached_property
    def _ranks(self) -> dict[tuple[str, str], str]:
        number = self._visits.groupby("patient").cumcount() + 1
        visits = zip(self._visits["patient"], self._visits["visit"], strict=True)
        return dict(zip(visits, number.map(str), strict=True))

    @cached_property
    def covariates_hash(self) -> str:
        """SHA-256 over every scan's covariates that a control sees; empty where none is known."""
        known = self.scans[[*SEEN]].replace("", float("nan")).notna()
        if not known.to_numpy().any():
            return ""
        rows = [[*map(_plain, row)] for row in self.scans[["scan", *SEEN]].itertuples(index=False)]
        return hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()

    @cached_property
    def _visits(self) -> pd.DataFrame:
        grouped = self.scans.groupby(["patient", "visit"], sort=False)
        visits = grouped.agg(
            order=("order", "first"),
            day=("day", "first"),
            score=("score", "first"),
            scans=("scan", tuple),
            site=("site", _joined),
            device=("device", _joined),
            age=("age", "first"),  # the first that is known
            sex=("sex", _joined),
            education_years=("education_years", "first"),
            spo2=("spo2", "first"),
        ).reset_index()
        return visits.sort_values(["patient", "order"], ignore_index=True)

    @cached_property
    def _pairs(self) -> pd.DataFrame:
        patient = self._visits["patient"].to_numpy()
        earlier = np.flatnonzero(patient[:-1] == patient[1:])
        return self._pairs_of(earlier, earlier + 1)

    def _pairs_of(self, earlier: NDArray[np.int64], later: NDArray[np.int64]) -> pd.DataFrame:
        """Pairs of visits, by their row numbers."""
        first = self._visits.iloc[earlier].reset_index(drop=True)
        second = self._visits.iloc[later].reset_index(drop=True)
        change = self.score.change(first["score"].to_numpy(float), second["score"].to_numpy(float))
        names = zip(first["patient"], first["visit"], second["visit"], strict=True)
        return pd.DataFrame(
            {
                "pair": [f"{patient}:{a}>{b}" for patient, a, b in names],
                "patient": first["patient"],
                "earlier": first["visit"],
                "later": second["visit"],
                "interval_days": second["day"] - first["day"],
                "score_earlier": first["score"],
                "score_later": second["score"],
                "change": change,
                "y": self.score.classify(change),
                "site": _moved(first["site"], second["site"]),
                "device": _moved(first["device"], second["device"]),
                **{name: first[name] for name in COVARIATES},
            }
        )


def _joined(values: pd.Series[str]) -> str:
    return _MIXED.join(sorted(set(values) - {""}))


def _moved(earlier: pd.Series[str], later: pd.Series[str]) -> list[str]:
    return [a if a == b else f"{a}>{b}" for a, b in zip(earlier, later, strict=True)]


def _plain(value: Any) -> str:
    """A cell as text that does not depend on its NumPy or pandas type."""
    return value if isinstance(value, str) else repr(float(value))
