"""Sizes that headers of scans state, and which scans have others than a cohort. Loads no PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from learner_ray.imaging import dicom_header
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.fields_of_view import DIFFERENT, field_of_view
from learner_ray.imaging.headers import open_picture, open_video
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.threads import look_at

SIZE, MM = "size", "mm"
"""Words of what is unlike: frames of another size in pixels, or voxels or a field of another size in mm."""


class HeaderSizes(NamedTuple):
    """What a scan's header states, in the order of its axes."""

    kind: str
    pixels: tuple[float, ...] = ()
    """Width and height of a frame; none of a volume, whose voxels are brought to one size."""
    mm: tuple[float, ...] = ()
    """Sides of a voxel, then of the field; none where there are no volumes."""


def header_sizes(scans: Sequence[tuple[str, ...]]) -> list[HeaderSizes | None]:
    """The sizes of scans, each given by its files; None where they cannot be read."""
    return look_at(scans, _sizes)


def _sizes(files: tuple[str, ...]) -> HeaderSizes | None:
    with suppress(ScanError, OSError):
        kind = kind_of_scan(files)
        if kind == "volume":
            field = field_of_view(files)
            return HeaderSizes(kind, mm=(*field.zooms, *field.extent)) if field else None
        return HeaderSizes(kind, pixels=_frame(kind.rpartition(" ")[2], files[0]))
    return None


def _frame(kind: str, path: str) -> tuple[float, ...]:
    if kind == "video":
        with open_video(path) as container:
            stream = container.streams.video[0]
            return stream.width, stream.height
    if kind == "picture":
        with open_picture(path) as image:
            return image.size
    if kind == "dicom":
        header = dicom_header.read_header(path)
        return header.width, header.height
    return ()


def unlike(new: Sequence[HeaderSizes | None], known: Sequence[HeaderSizes | None]) -> list[list[str]]:
    """The words of each new scan whose sizes lie outside those of all known scans of its kind.

    A side may be a tenth less than the least or more than the largest known one (``DIFFERENT``).
    """
    return [
        [
            word
            for word, field in ((SIZE, "pixels"), (MM, "mm"))
            if each and _outside(getattr(each, field), [getattr(k, field) for k in known if _alike(each, k)])
        ]
        for each in new
    ]


def _alike(one: HeaderSizes, other: HeaderSizes | None) -> bool:
    return other is not None and one.kind == other.kind


def _outside(sides: tuple[float, ...], known: Sequence[tuple[float, ...]]) -> bool:
    """Whether a side lies outside; one that is not known does not, nor where none is known."""
    of_kind = [each for each in known if len(each) == len(sides)]
    if not sides or not of_kind:
        return False
    ours, theirs = np.array(sides), np.array(of_kind)
    return bool(((ours * DIFFERENT < theirs.min(0)) | (ours > DIFFERENT * theirs.max(0))).any())
