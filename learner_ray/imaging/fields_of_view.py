"""What the headers of volumes say of voxels and fields of view, and where a patient's visits differ. Loads no
PyTorch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from learner_ray.cohort import Cohort
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.threads import look_at
from learner_ray.imaging.volume_files import long_axes, read_header

Zooms = tuple[float, float, float]
"""The sides of a voxel in mm, NaN where they are not known."""

DIFFERENT = 1.1
"""Factor by which voxels or fields of view of a patient's visits differ at most without a warning."""
_SMALLEST_MM, _LARGEST_MM = 60.0, 1000.0
"""Sides of a volume that can hold a head; others are in another unit, or show another thing."""
_UNITS_MM = {"meter": 1000.0, "micron": 0.001}
"""NIfTI's other units of length, in mm."""
_SHOWN = 10
"""Fields of view that are printed; more are counted."""


@dataclass(frozen=True)
class FieldOfView:
    """What a volume covers: X to the patient's right, Y to the front, Z upwards."""

    shape: tuple[int, int, int]
    zooms: Zooms
    orientation: str
    """Where its axes point as stored: ``RAS`` is right, anterior, superior."""

    def __str__(self) -> str:
        voxels, field = (" x ".join(f"{side:.4g}" for side in sides) for sides in (self.zooms, self.extent))
        return f"voxels {voxels} mm, field {field} mm, stored {self.orientation}"

    @property
    def extent(self) -> tuple[float, ...]:
        """Its sides in mm; the third is the height of the slab."""
        return tuple(length * zoom for length, zoom in zip(self.shape, self.zooms, strict=True))

    def differs(self, other: FieldOfView) -> float:
        """The largest factor between a side of voxel or field and that of the other; NaN counts as none."""
        ours, theirs = (np.array([*each.zooms, *each.extent]) for each in (self, other))
        with np.errstate(invalid="ignore", divide="ignore"):  # a damaged header may state a side of 0
            return float(np.nanmax(np.maximum(ours / theirs, theirs / ours), initial=1.0))


def voxel_sides(affine: NDArray[np.float64], unit: str) -> Zooms:
    """The sides of a voxel in mm along the axes of a file, from its affine (4, 4); NaN where one is 0 or not
    finite.

    Args:
        affine: from voxels to places in space.
        unit: of those places, as NIfTI names it; one that is not known means mm.
    """
    stated = np.sqrt((affine[:3, :3] ** 2).sum(0)) * _UNITS_MM.get(unit, 1.0)
    # Each order in which a file may store its axes rounds otherwise.
    x, y, z = (round(float(side), 4) if np.isfinite(side) and side > 0 else math.nan for side in stated)
    return x, y, z


def fits_a_head(shape: Sequence[int], zooms: Zooms) -> bool:
    """Whether a volume (X, Y, Z) has the size of one that holds a head."""
    sides = np.multiply(shape, zooms)  # NaN where one is not known
    return bool(((sides >= _SMALLEST_MM) & (sides <= _LARGEST_MM)).all())


def fields_of_view(cohort: Cohort) -> dict[str, FieldOfView]:
    """The field of view of every scan that is one volume, by scan id. Files that cannot be read are passed
    over."""

    def look(files: Sequence[str]) -> FieldOfView | None:
        with suppress(ScanError):
            return field_of_view(files) if kind_of_scan(tuple(files)) == "volume" else None
        return None

    found = look_at(cohort.scans["files"], look)
    return {scan: field for scan, field in zip(cohort.scans["scan"], found, strict=True) if field}


def field_of_view(files: Sequence[str]) -> FieldOfView | None:
    """The field of view of one volume; None where that has not three long axes.

    Raises:
        ScanError: its header cannot be read.
    """
    header = read_header(files)
    shape = header.shape
    if long_axes(shape) != [0, 1, 2]:
        return None
    x, y, z = header.axes
    sides = voxel_sides(header.affine, header.unit)
    codes = "".join(aff2axcodes(header.affine))
    return FieldOfView((shape[x], shape[y], shape[z]), (sides[x], sides[y], sides[z]), codes)


def describe(found: dict[str, FieldOfView]) -> list[str]:
    """Lines that say what the volumes of a cohort cover, the most frequent first."""
    counts = Counter(map(str, found.values())).most_common()
    lines = [f"volumes: {count:,} with {field}" for field, count in counts[:_SHOWN]]
    others = sum(count for _, count in counts[_SHOWN:])
    return [*lines, f"volumes: {others:,} with other voxels or fields"] if others else lines


def note_differences(cohort: Cohort, found: dict[str, FieldOfView]) -> dict[str, list[str]]:
    """Sentences to warn with: about patients whose visits differ, with a line for each, and about volumes
    without the voxel sizes of a head, with their scans."""
    lines = []
    for _, scans in cohort.scans[cohort.scans["scan"].isin(list(found))].groupby("patient", sort=False):
        lines += _difference(scans.sort_values("order")["scan"].tolist(), found)
    unfit = [scan for scan, field in found.items() if not fits_a_head(field.shape, field.zooms)]
    notes: dict[str, list[str]] = {}
    if lines:
        count = "1 patient has visits" if len(lines) == 1 else f"{len(lines):,} patients have visits"
        notes[f"{count} whose voxels or fields of view differ by more than 10 %"] = lines
    if unfit:
        count = "1 volume does" if len(unfit) == 1 else f"{len(unfit):,} volumes do"
        notes[f"{count} not have the size of a head in mm, so that slices are evenly spaced"] = unfit
    return notes


def _difference(scans: Sequence[Any], found: dict[str, FieldOfView]) -> list[str]:
    """The line about one patient's scans, in the order of visits; none where they are alike."""
    first, *later = scans
    other = max(later, key=lambda scan: found[first].differs(found[scan]), default=first)
    if found[first].differs(found[other]) <= DIFFERENT:
        return []
    return [f"{first}: {found[first]}; {other}: {found[other]}"]
