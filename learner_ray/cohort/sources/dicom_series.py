"""MR series: which of an export's slices make a T1-weighted volume, and making it with dcm2niix (Li et al.
2016, doi 10.1016/j.jneumeth.2016.03.001)."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel

from learner_ray.cohort.dicom_tags import INSTALL
from learner_ray.cohort.sources.dicom_files import DicomFile
from learner_ray.cohort.sources.importer import ACCELERATED, LeftOut
from learner_ray.core.errors import UserError

T1 = r"t1|mp-?rage|bravo|spgr|tfl"
"""Names of T1-weighted series, unless the user gives others."""

_LEAST_SLICES = 20
_LOCALISER_ORIENTATIONS = 3
_PROJECTIONS = {"DERIVED", "MIP", "PROJECTION", "LOCALIZER"}
"""Words of ImageType that no volume as acquired has."""
_LONGEST_S = 600


@dataclass(frozen=True, kw_only=True)
class Series:
    """Slices of one series, orientation and matrix."""

    files: tuple[DicomFile, ...]

    @property
    def first(self) -> DicomFile:
        """The first file, which stands for all."""
        return self.files[0]

    @property
    def rank(self) -> tuple[bool, float, str]:
        """Sorts the series of one visit, the one to take first: not accelerated, and the earliest."""
        return bool(ACCELERATED.search(self.first.description)), self.first.number, self.first.series

    def volume(self, folder: Path) -> Path:
        """Where the volume of the series lies; its name tells nothing of the patient."""
        identity = repr((self.first.series, self.first.orientation, self.first.matrix, len(self.files)))
        return folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.nii.gz"


def t1_series(files: Iterable[DicomFile], like: re.Pattern[str], left_out: list[LeftOut]) -> list[Series]:
    """The series that a T1-weighted volume can be made of; the others are left out, each with its reason.

    Args:
        files: MR files, without copies.
        like: what the description of a series must hold.
        left_out: gets a line per series.
    """
    groups: dict[str, dict[tuple[object, ...], list[DicomFile]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        groups[file.series or str(file.path.parent)][file.orientation, file.matrix].append(file)
    found = []
    for group in groups.values():
        orientations = len({file.orientation for slices in group.values() for file in slices})
        for slices in group.values():
            series = Series(files=tuple(sorted(slices, key=lambda file: file.path)))
            reason = _unfit(series, orientations, like)
            if reason:
                first = series.first
                said = f"{reason} ({len(slices)} files)"
                when = first.when.text if first.when else ""
                left_out.append(LeftOut(path=str(first.path), patient=first.patient, visit=when, reason=said))
            else:
                found.append(series)
    return found


def _unfit(series: Series, orientations: int, like: re.Pattern[str]) -> str:
    """Why no T1-weighted volume can be made of a series; empty where one can."""
    first = series.first
    if orientations >= _LOCALISER_ORIENTATIONS:
        return f"a localiser: series of {orientations} orientations"
    if words := sorted(_PROJECTIONS & {word for file in series.files for word in file.image_type}):
        return f"a projection or derived series: {', '.join(words)}"
    if not all(file.placed for file in series.files):
        tag = "PlanePositionSequence" if first.frames > 1 else "ImagePositionPatient"
        return f"an MR series without the places of its slices: no {tag}"
    if sum(file.frames for file in series.files) < _LEAST_SLICES:
        return f"a localiser: series of fewer than {_LEAST_SLICES} slices"
    if not like.search(first.description):
        return f"a series of another name: {first.description or 'none'}; --series takes others"
    return ""


def require_converter() -> str:
    """The path of dcm2niix.

    Raises:
        UserError: the package is not installed.
    """
    try:
        import dcm2niix
    except ImportError as error:
        raise UserError(f"volumes of MR series need the package dcm2niix; {INSTALL}") from error
    return str(dcm2niix.bin)


def convert(series: Series, target: Path) -> str:
    """Makes the volume of a series as NIfTI, unless it is there.

    Args:
        series: its slices.
        target: the volume; its folder exists.

    Returns:
        Why there is no volume; empty where there is.

    Raises:
        UserError: the package dcm2niix is not installed.
    """
    if target.exists():
        return ""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".converting-") as temporary:
        slices, made = Path(temporary, "slices"), Path(temporary, "made")
        slices.mkdir()
        made.mkdir()
        for number, file in enumerate(series.files):
            (slices / f"{number:06}.dcm").symlink_to(file.path.absolute())
        command = [require_converter(), "-b", "n", "-z", "y", "-f", "volume", "-o", str(made), str(slices)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S)
        except subprocess.TimeoutExpired:
            return f"dcm2niix made no volume: not ended after {_LONGEST_S} s"
        volume = _largest(sorted(made.glob("*.nii.gz")))
        if isinstance(volume, str):
            said = " ".join((ran.stderr or ran.stdout).split())[-160:]
            return f"dcm2niix made no volume: {volume or said}"
        volume.rename(target)
    return ""


def _largest(made: Sequence[Path]) -> Path | str:
    """The largest grey volume of three dimensions, or why there is none."""
    best, voxels, refused = None, 0, ""
    for path in made:
        header = nibabel.load(path).header
        shape = [int(length) for length in header.get_data_shape() if length > 1]
        if "_Eq" in path.name:
            return "its slices are not evenly spaced; some may be missing"
        if header.get_data_dtype().kind not in "iuf":
            refused = "its pixels are colours"
        elif len(shape) != 3:
            refused = f"it has {len(shape)} dimensions"
        elif shape[0] * shape[1] * shape[2] > voxels:
            best, voxels = path, shape[0] * shape[1] * shape[2]
    return best or refused
