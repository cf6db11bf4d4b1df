"""ADNI as LONI distributes it (adni.loni.usc.edu): ``PTID/DESCRIPTION/2006-01-15_10_11_12.0/I45001/*.nii``.

Scores stand in ADNIMERGE.csv or MMSE.csv (``adni_tables``). One image is taken per visit, and of one
family in the whole cohort: originals, or images processed alike.
"""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from learner_ray.cohort.dates import parse_date
from learner_ray.cohort.sources.adni_tables import PATIENT, AdniTables, read_tables
from learner_ray.cohort.sources.importer import (
    ACCELERATED,
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    LeftOut,
    Progress,
)
from learner_ray.cohort.sources.join import left
from learner_ray.core.errors import UserError

_IMAGE = re.compile(r"I(\d+)")
_SERIES = re.compile(r"_S(\d+)_I?\d*")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)_(\d\d)_(\d\d)")
_NOT_T1 = re.compile(
    r"local|scout|calib|field.?map|flair|t2|dti|fmri|asl|rest|hippo|(?<![a-z])(pd|b0)(?![a-z])", re.I
)
_STEPS = {"N3": r"(^|_)N3(_|$)|N3m", "Scaled": r"Scaled", "MT1": r"MT1", "Mask": r"Mask|Hippo"}
_REPEATED = re.compile(r"(-R|_ND)(?![a-z])", re.I)


class Adni(Importer):
    """The folders of images that LONI hands out, with the study's tables beside them."""

    name = "adni"
    needs = "folders 123_S_0001/DESCRIPTION/DATE/I12345, and ADNIMERGE.csv or MMSE.csv"

    def evidence(self, path: Path) -> Evidence | None:
        tree = _tree(path)
        if tree is None:
            return None
        patients = sum(bool(PATIENT.fullmatch(name)) for name in os.listdir(tree))
        return Evidence(sure="certain", because=f"{patients} folders named as 123_S_0001 in {tree}")

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        tree = _tree(path)
        assert tree is not None
        notes: list[str] = []
        left_out: list[LeftOut] = []
        tables = read_tables(path, tree, options, notes, left_out)
        scans: list[FoundScan] = []
        for folder in _image_folders(tree):
            progress(len(scans), "images")
            found = _scan(folder, tables, options)
            if isinstance(found, FoundScan):
                scans.append(found)
            else:
                left_out.append(LeftOut(path=str(folder), patient=folder.parts[-4], reason=found))
        if not scans:
            raise UserError(f"{tree} holds no T1 image in folders I12345; see docs/importing.md for its form")
        kept, others = _one_family(scans, options, notes)
        return Found(
            scans=kept,
            scores=tables.scores,
            left_out=[*left_out, *others],
            notes=notes,
            modality="mri",
            name="ADNI",
            score="MMSE",
        )


def _tree(path: Path) -> Path | None:
    """The folder that holds the patients' folders: a path, or one right below it."""
    if not path.is_dir():
        return None
    below = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    if any(PATIENT.fullmatch(p.name) for p in below):
        return path
    for folder in below[:20]:
        if any(PATIENT.fullmatch(name) for name in os.listdir(folder)):
            return folder
    return None


def _image_folders(tree: Path) -> Iterator[Path]:
    for patient in sorted(p for p in tree.iterdir() if PATIENT.fullmatch(p.name)):
        for folder in sorted(patient.glob("*/*/*")):
            if folder.is_dir():
                yield folder


def _scan(folder: Path, tables: AdniTables, options: ImportOptions) -> FoundScan | str:
    """The scan of an image's folder, or why it is none."""
    patient, description, taken, name = folder.parts[-4:]
    image, date = _IMAGE.fullmatch(name), _DATE.match(taken)
    when = parse_date(f"{date[1]}T{date[2]}:{date[3]}:{date[4]}") if date else None
    if image is None or when is None:
        return "its folders are not named as DATE/I12345"
    if _NOT_T1.search(description) and not options.prefers(description):
        return f"no T1 image: {description}"
    files = sorted(p for p in folder.iterdir() if p.name.endswith((".nii", ".nii.gz")))
    slices = sorted(p for p in folder.iterdir() if p.suffix.lower() == ".dcm")
    if len(files) > 1 or not (files or slices):
        return f"{len(files)} .nii files in the folder of one image"
    field = tables.field(image[1])
    series = _SERIES.search((files or slices)[0].name)
    return FoundScan(
        path=files[0] if files else folder,
        files=() if files else (Path(glob.escape(str(folder))) / "*.dcm",),
        patient=patient,
        visit=tables.visit(image[1], patient, when),
        when=replace(when, days=float(when.days // 1), clock=False),
        image=image[1],
        group=_family(description),
        rank=(
            not options.prefers(description),
            _wrong_field(field, tables.cohort_of(patient)),
            bool(ACCELERATED.search(description) or _REPEATED.search(description)),
            int(series[1]) if series else 0,
            int(image[1]),
        ),
        more={"device": f"{field} T"} if field else {},
    )


def _wrong_field(field: str, cohort: str) -> bool:
    """Whether an image is not of the field strength of its part of the study: 1.5 T in ADNI1, 3 T later."""
    wanted = "1.5" if cohort == "ADNI1" else "3"
    return bool(field and cohort) and field != wanted


def _family(description: str) -> str:
    """How an image was processed, in words; images that were processed otherwise are not comparable."""
    steps = [name for name, written in _STEPS.items() if re.search(written, description, re.I)]
    if not steps and not re.search(r"GradWarp|B1", description, re.I):
        return "original"
    return f"processed ({', '.join(['GradWarp or B1'] * (not steps) + steps)})"


def _one_family(
    scans: Sequence[FoundScan], options: ImportOptions, notes: list[str]
) -> tuple[list[FoundScan], list[LeftOut]]:
    """The scans of the family that covers most visits, and the others."""
    visits: dict[str, set[tuple[str, str]]] = defaultdict(set)
    preferred: Counter[str] = Counter()
    for scan in scans:
        assert scan.when is not None
        visits[scan.group].add((scan.patient, scan.when.text))
        preferred[scan.group] += not scan.rank[0]
    best = max(visits, key=lambda family: (preferred[family], len(visits[family]), family))
    notes.append(
        f"images: {best} ({len(visits[best])} visits); "
        + ("no others" if len(visits) == 1 else "not mixed with " + ", ".join(sorted(visits.keys() - {best})))
    )
    reason = f"processed otherwise than the cohort, which is {best}"
    others = [left(scan, f"{reason}: {scan.group}") for scan in scans if scan.group != best]
    return [scan for scan in scans if scan.group == best], others
