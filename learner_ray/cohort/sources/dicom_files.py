"""The DICOM files below a folder, each with what an importer needs of its tags. No pixel is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from learner_ray.cohort.dates import Moment, parse_date
from learner_ray.cohort.dicom_tags import DicomError, Tags, is_dicom, numbers_in, read_tags
from learner_ray.cohort.sources.importer import LeftOut, Progress
from learner_ray.cohort.unrecognised import count_kinds, files_below
from learner_ray.core.errors import UserError

_DATES = ("Study", "Series", "Acquisition", "Content")
"""Names of tags with a date and a time, in the order in which they count."""


@dataclass(frozen=True, kw_only=True)
class DicomFile:
    """One file with a picture of a patient."""

    path: Path
    kind: str
    """``ultrasound``, ``radiograph``, ``screenshot``, ``mr`` or ``ct``."""
    patient: str
    """PatientID; may be empty."""
    instance: str
    """SOPInstanceUID: equal in copies."""
    study: str
    """StudyInstanceUID."""
    series: str
    """SeriesInstanceUID."""
    when: Moment | None
    """Date and time of the study."""
    frames: int
    description: str
    """SeriesDescription and ImageComments."""
    image_type: tuple[str, ...]
    """ImageType, in capitals."""
    matrix: tuple[int, int]
    """Rows and columns."""
    orientation: tuple[float, ...]
    """Direction of rows and columns, rounded; empty where it is not stated."""
    number: float
    """SeriesNumber."""
    placed: bool
    """Whether the file says where its slices lie."""
    device: str
    """Manufacturer and model."""
    site: str
    """Hash of InstitutionName; empty where it is not stated."""


def dicom_files(
    folder: Path, progress: Progress, left_out: list[LeftOut], notes: list[str]
) -> list[DicomFile]:
    """The files below a folder that are DICOM and hold a picture, by their content and not by their names.

    Args:
        folder: is searched to any depth.
        progress: is called with the number of files.
        left_out: files that hold no picture or are copies are added, with the reason.
        notes: the number of files that are not DICOM is added.

    Raises:
        UserError: pydicom is not installed.
    """
    found: dict[str, DicomFile] = {}
    others: list[Path] = []
    for count, path in enumerate(files_below(folder), start=1):
        progress(count, "files")
        if not is_dicom(path):
            others.append(path)
            continue
        file = _read(path)
        if isinstance(file, str):
            left_out.append(LeftOut(path=str(path), reason=file))
        elif file.instance and file.instance in found:
            first = found[file.instance].path
            reason = f"a copy (SOPInstanceUID): {first} has the same image"
            left_out.append(LeftOut(path=str(path), patient=file.patient, reason=reason))
        else:
            found[file.instance or str(path)] = file
    if others:
        notes.append(f"{len(others)} files are not DICOM: {count_kinds(iter(others))}")
    return [*found.values()]


def _read(path: Path) -> DicomFile | str:
    """What a file holds, or why it holds no picture."""
    try:
        tags = read_tags(path)
    except DicomError as error:
        if isinstance(error.__cause__, ImportError):
            raise UserError(f"{path} {error}") from error
        return str(error)
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    if not tags.kind:
        return f"{tags.class_name}, which is no scan"
    if tags.pixel_bytes is None:
        return "holds no pixels"
    if not tags.transfer_syntax:
        return "does not state its Transfer Syntax"
    return _file(path, tags)


def _file(path: Path, tags: Tags) -> DicomFile:
    frames = tags.numbers("NumberOfFrames")
    institution = tags.text("InstitutionName").casefold()
    sizes = [tags.numbers(side) for side in ("Rows", "Columns")]
    number = tags.numbers("SeriesNumber")
    image_type = tags.text("ImageType")
    return DicomFile(
        path=path,
        kind=tags.kind,
        patient=tags.text("PatientID"),
        instance=tags.text("SOPInstanceUID"),
        study=tags.text("StudyInstanceUID"),
        series=tags.text("SeriesInstanceUID"),
        when=_moment(tags),
        frames=int(frames[0]) if frames else 1,
        description=" ".join(filter(None, map(tags.text, ("SeriesDescription", "ImageComments")))),
        image_type=tuple(re.findall(r"\w+", image_type.upper())),
        matrix=(int(sizes[0][0]) if sizes[0] else 0, int(sizes[1][0]) if sizes[1] else 0),
        orientation=tuple(round(each, 2) + 0.0 for each in tags.numbers("ImageOrientationPatient")),
        number=number[0] if number else 0.0,
        placed=_placed(tags),
        device=" ".join(filter(None, map(tags.text, ("Manufacturer", "ManufacturerModelName")))),
        site=hashlib.sha256(institution.encode()).hexdigest()[:8] if institution else "",
    )


def _moment(tags: Tags) -> Moment | None:
    """Date and time of a study; dates are written 20160503 or 1994.11.05, times 101530.25 or 10:15:30."""
    for name in _DATES:
        date = re.sub(r"\D", "", tags.text(f"{name}Date"))
        time = re.sub(r"\D", "", tags.text(f"{name}Time").partition(".")[0])
        if when := parse_date(f"{date}T{time[:6]}" if len(time) in (4, 6) else date) or parse_date(date):
            return when
    return None


def _placed(tags: Tags) -> bool:
    """Whether a file states where its slice lies or, of an enhanced file, each of its frames."""
    frames = tags.dataset.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        return len(tags.numbers("ImagePositionPatient")) == 3
    places: Sequence[object] = [(frame.get("PlanePositionSequence") or [None])[0] for frame in frames]
    return all(place is not None and numbers_in(place, "ImagePositionPatient") for place in places)
