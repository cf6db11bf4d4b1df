"""OASIS-1, 2 and 3 (sites.wustl.edu/oasisbrains) in the folders in which they are distributed.

Sessions are known by their names: ``OAS1_0001_MR1``, ``OAS2_0001_MR1``, ``OAS30001_MR_d0129``. Marcus et al.
2007 (doi 10.1162/jocn.2007.19.9.1498) and 2010 (doi 10.1162/jocn.2009.21407), LaMontagne et al. 2019 (doi
10.1101/2019.12.13.19014902).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from learner_ray.cohort.dates import Moment
from learner_ray.cohort.sources.importer import (
    Evidence,
    Found,
    FoundScan,
    Importer,
    ImportOptions,
    LeftOut,
    Progress,
)
from learner_ray.cohort.sources.join import left
from learner_ray.cohort.sources.layout_importer import found_in
from learner_ray.cohort.sources.oasis2 import Oasis2
from learner_ray.cohort.sources.oasis_tables import scores_of_days, scores_of_sessions, with_rows
from learner_ray.cohort.unrecognised import files_below
from learner_ray.core.errors import UserError

SESSION = re.compile(r"(OAS[12]_\d{4})_MR(\d+)|(OAS3\d{4})_(?:MR|ses-|CT|PET)?_?d(\d{4})")
"""Subject and number of a session, or subject and day."""
_IMAGES = (".nii", ".nii.gz", ".img", ".mgz")
_LOOKED_AT = 2000
_FAMILIES = {
    "raw": r"mpr-?\d+",
    "atlas space": r"t88_gfc",
    "atlas space, masked": r"t88_masked_gfc",
    "average of repeats": r"sbj_111",
    "T1w": r"T1w",
}
_SEGMENTATION = re.compile(r"fseg|aseg|mask\b", re.I)


class Oasis(Importer):
    """OASIS-1, 2 and 3, the mid-slices of OASIS-2 too, with MMSE."""

    name = "oasis"
    needs = "images named OAS1_0001_MR1, OAS2_0001_MR1 or OAS30001_MR_d0129, and the table of the study"

    def evidence(self, path: Path) -> Evidence | None:
        if not path.is_dir():
            return None
        if Oasis2().recognises(path):
            return Evidence(sure="certain", because=f"it holds {Oasis2.needs}")
        for file in islice(files_below(path), _LOOKED_AT):
            if _is_image(file) and (session := _session(file, path)):
                return Evidence(sure="certain", because=f"images of sessions such as {session[0]}")
        return None

    def find(self, path: Path, options: ImportOptions, progress: Progress) -> Found:
        if Oasis2().recognises(path):
            return found_in(Oasis2(), path, options)
        scans: list[FoundScan] = []
        left_out: list[LeftOut] = []
        for file in files_below(path):
            progress(len(scans), "images")
            session = _session(file, path) if _is_image(file) else None
            if session and _SEGMENTATION.search(file.name):
                left_out.append(LeftOut(path=str(file), reason="a segmentation or mask"))
            elif session:
                scans.append(_scan(file, session, options))
        if not scans:
            raise UserError(f"{path} holds no image of a session; needed: {self.needs}")
        study = _study(scans)
        notes: list[str] = []
        kept, others = _one_family(scans, options, notes)
        found = kept
        if study == 1:
            found = [scan for scan in kept if scan.visit == "1"]
            rescans = [scan for scan in kept if scan.visit != "1"]
            others += [left(scan, "a reliability rescan, no further visit") for scan in rescans]
            notes.append("OASIS-1 has one visit per subject, so there are no progression pairs")
        options = replace(options, score=options.score or "MMSE")
        by_session = study != 3 and options.scores is None
        if by_session:
            scores = scores_of_sessions(path, study, options, notes, left_out)
            found = with_rows(found, scores, {scan.image for scan in scans}, left_out)
        else:
            scores = scores_of_days(path, options, notes, left_out)
        return Found(
            scans=found,
            scores=scores,
            left_out=[*left_out, *others],
            notes=notes,
            modality="mri",
            name=f"OASIS-{study}",
            score=options.score,
            rules=("scan",) if by_session else ("visit", "nearest"),
        )


def _is_image(file: Path) -> bool:
    return file.name.lower().endswith(_IMAGES)


def _session(file: Path, root: Path) -> tuple[str, str, str] | None:
    """Name, subject and number or day of the session in a file's name, else in its folders'."""
    for part in reversed(file.relative_to(root.parent).parts):
        if parts := SESSION.search(part):
            return parts[0], parts[1] or parts[3], parts[2] or f"d{parts[4]}"
    return None


def _scan(file: Path, session: tuple[str, str, str], options: ImportOptions) -> FoundScan:
    name, subject, visit = session
    repeat = re.search(r"(?:mpr-?|run-)(\d+)", file.name)
    return FoundScan(
        path=file,
        patient=subject,
        visit=visit,
        when=Moment(days=float(visit[1:]), clock=True, dated=False) if visit.startswith("d") else None,
        image=name,
        group=_family(file),
        rank=(
            not options.prefers(file.name),
            int(repeat[1]) if repeat else 0,
            file.name,
        ),
    )


def _family(file: Path) -> str:
    found = (name for name, written in _FAMILIES.items() if re.search(written, file.name, re.I))
    return next(found, "other")


def _one_family(
    scans: Sequence[FoundScan], options: ImportOptions, notes: list[str]
) -> tuple[list[FoundScan], list[LeftOut]]:
    """The scans of the kind of image that covers most sessions, or that the user prefers; and the others."""
    sessions: dict[str, set[str]] = defaultdict(set)
    preferred: dict[str, int] = defaultdict(int)
    for scan in scans:
        sessions[scan.group].add(scan.image)
        preferred[scan.group] += not scan.rank[0]
    order = [*_FAMILIES, "other"]
    best = max(sessions, key=lambda of: (preferred[of], len(sessions[of]), -order.index(of)))
    notes.append(f"images: {best}, {len(sessions[best])} sessions")
    reason = f"another kind of image than the cohort's, which is {best}"
    others = [left(scan, f"{reason}: {scan.group}") for scan in scans if scan.group != best]
    return [scan for scan in scans if scan.group == best], others


def _study(scans: Sequence[FoundScan]) -> int:
    """Which of the three studies the sessions are of.

    Raises:
        UserError: they are of several.
    """
    studies = {int(scan.patient[3]) for scan in scans}
    if len(studies) > 1:
        raise UserError(
            f"sessions of OASIS-{' and OASIS-'.join(map(str, sorted(studies)))}: import each alone"
        )
    return studies.pop()
