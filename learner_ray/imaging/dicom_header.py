"""What the tags of a DICOM file say of its pixels, checked before any pixel is read."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from learner_ray.cohort.dicom_tags import DAMAGE, DicomError, Tags, numbers_in, read_tags
from learner_ray.imaging.dicom_decoders import require_decoder
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.limits import MOST_FRAMES, MOST_PIXELS, is_plausible

if TYPE_CHECKING:  # SciPy comes with it, which headers do not need
    from learner_ray.imaging.screen import Box

COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_RCT", "YBR_ICT")
GREYS = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"

_COMPRESSED = -1
_ITEM_BYTES = 8
"""Bytes before the pixels of each compressed frame."""
_PICTURE_STARTS = (b"\xff\xd8", b"\xff\x4f")
_STRAIGHT = 4.0
"""The sides of a pixel differ by this factor at most; beyond it the tags are wrong."""
_FLAT, _TISSUE, _CM = 1, 1, 3
"""Codes of a region: two-dimensional, showing tissue, measured in cm."""
_SERIES = {
    "mr": "an MR series ({}); make a volume of it with 'learner-ray import dicom FOLDER', or list the folder "
    "of its slices as one scan",
    "ct": "a CT series ({}); make a NIfTI volume of it, with dcm2niix",
}


@dataclass(frozen=True, kw_only=True)
class DicomHeader:
    """What is needed to read the pixels of a file, and to know their size and time."""

    tags: Tags
    height: int
    """Rows of a frame."""
    width: int
    """Columns of a frame."""
    frames: int
    colours: str
    """Photometric interpretation: one of ``COLOURS``, ``GREYS`` or ``PALETTE``."""
    allocated: int
    """Bits of a value as stored."""
    bits: int
    """Bits of a value that are used."""
    signed: bool
    inverted: bool
    """A high value is dark."""
    region: Box | None
    """Where the device says that the picture is; None where it does not, or cannot be right."""
    pixel_aspect: float
    """Width of a pixel by its height."""
    mm_per_px: float | None
    """Height of a pixel in mm, where it is known."""
    frames_per_s: float | None
    """Frames a second, where it is known."""
    may_name: bool
    """The file does not rule out that names or dates are part of the picture (BurnedInAnnotation)."""


def read_header(path: str, *, of_series: bool = False) -> DicomHeader:
    """Reads the tags of a file with an ultrasound clip, a picture or a radiograph.

    Args:
        path: the file.
        of_series: accept a slice of MR, which alone is no scan, and nothing else.

    Raises:
        ScanError: the file holds none, announces more than it holds, or is compressed in a way for which no
            decoder is installed.
    """
    try:
        tags = read_tags(path)
        _require_image(tags, of_series=of_series)
        header = _describe(tags)
        if header.frames == 1 and tags.pixel_bytes == _COMPRESSED and (held := _pictures(path, tags)) > 1:
            raise DicomError(f"announces 1 frame but holds {held}: its tags are wrong")
        return header
    except DicomError as error:
        raise ScanError(path, str(error)) from error
    except OSError as error:
        raise ScanError(path, f"cannot be opened ({error.strerror})") from error
    except DAMAGE as error:
        raise ScanError(path, f"cannot be read as DICOM ({error})") from error


def _describe(tags: Tags) -> DicomHeader:
    colours = tags.text("PhotometricInterpretation")
    samples = int(_number(tags, "SamplesPerPixel", default=1))
    if (samples, colours) not in {(3, c) for c in COLOURS} | {(1, c) for c in (*GREYS, PALETTE)}:
        raise DicomError(
            f"has {samples} values a pixel of the kind {colours or 'unknown'}, which is not read"
        )
    allocated = int(_number(tags, "BitsAllocated"))
    if allocated not in ((8, 16) if colours == PALETTE else (8, 16, 32)):
        raise DicomError(f"has {allocated} bits a value, which is not read")
    height, width = int(_number(tags, "Rows")), int(_number(tags, "Columns"))
    frames = int(_number(tags, "NumberOfFrames", default=1))
    if min(height, width, frames) < 1 or height * width > MOST_PIXELS or frames > MOST_FRAMES:
        raise DicomError(f"announces {frames} frames of {width} x {height} pixels")
    _require_pixels(tags, height * width * samples * allocated // 8, frames)
    if tags.pixel_bytes == _COMPRESSED and not _fit(height * width, frames, tags.room):
        raise DicomError(f"announces {frames} frames of {width} x {height} pixels in {tags.room:,} bytes")
    slope = tags.numbers("RescaleSlope")
    region, deltas = _region(tags, width, height)
    aspect, mm = _pixel_size(tags, deltas)
    return DicomHeader(
        tags=tags,
        height=height,
        width=width,
        frames=frames,
        colours=colours,
        allocated=allocated,
        bits=min(allocated, int(_number(tags, "BitsStored", default=allocated))),
        signed=tags.numbers("PixelRepresentation") == [1.0],
        inverted=(colours == "MONOCHROME1") != (samples == 1 and bool(slope) and slope[0] < 0),
        region=region,
        pixel_aspect=aspect,
        mm_per_px=mm,
        frames_per_s=_rate(tags),
        may_name=tags.text("BurnedInAnnotation").upper() != "NO",
    )


def _number(tags: Tags, keyword: str, *, default: float | None = None) -> float:
    """A whole number that a file must state, unless there is a default."""
    text, found = tags.text(keyword), tags.numbers(keyword)
    if not text and default is not None:
        return default
    if len(found) != 1 or found[0] != int(found[0]):
        stated = f"states {keyword} as {text[:20]!r}" if text else f"does not state {keyword}"
        raise DicomError(f"cannot be read as DICOM (it {stated})")
    return found[0]


def _require_image(tags: Tags, *, of_series: bool) -> None:
    """Refuses what is not an ultrasound, a radiograph or a screenshot that can be decoded here; or, as one of
    a series, not MR."""
    if not tags.text("SOPClassUID"):
        raise DicomError("cannot be read as DICOM (it does not state its SOP Class UID)")
    if of_series and tags.kind != "mr":
        raise DicomError(f"is no MR ({tags.class_name}), as other files of the scan are; leave it out")
    if tags.kind in _SERIES and not of_series:
        raise DicomError(f"is part of {_SERIES[tags.kind].format(tags.class_name)}")
    if not tags.kind:
        raise DicomError(f"holds no scan ({tags.class_name}); leave it out")
    syntax = tags.transfer_syntax
    if not syntax:
        raise DicomError("does not state its Transfer Syntax; export it from the archive again")
    if syntax.is_compressed and syntax.is_encapsulated:
        require_decoder(syntax)


def _require_pixels(tags: Tags, frame_bytes: int, frames: int) -> None:
    """Refuses a file without pixels, or whose uncompressed pixels are not those of its frames."""
    if tags.pixel_bytes is None:
        raise DicomError("holds no pixels (no PixelData); export it from the archive again")
    if tags.pixel_bytes < 0 or tags.transfer_syntax.is_deflated:
        return
    if tags.text("PhotometricInterpretation") == "YBR_FULL_422":  # two pixels share their colour
        frame_bytes = frame_bytes * 2 // 3
    held = min(tags.pixel_bytes, tags.room) // frame_bytes
    if held != frames:
        raise DicomError(f"announces {frames} frames but holds {held}: truncated, or its tags are wrong")


def _fit(pixels: int, frames: int, room: int) -> bool:
    """Whether compressed frames of so many pixels can lie in so many bytes."""
    return is_plausible(pixels, room) and frames * _ITEM_BYTES <= room


def _pictures(path: str, tags: Tags) -> int:
    """How many JPEG or JPEG 2000 pictures begin among the compressed pixels of a file. A file that does not
    state its number of frames would else be read as one frame."""
    from pydicom.encaps import generate_fragments, parse_basic_offsets

    with open(path, "rb") as stream:
        stream.seek(-tags.room, os.SEEK_END)
        parse_basic_offsets(stream)
        return sum(fragment[:2] in _PICTURE_STARTS for fragment in generate_fragments(stream))


def _region(tags: Tags, width: int, height: int) -> tuple[Box | None, tuple[float, float] | None]:
    """The largest B-mode region that lies within the frame, and the mm per pixel along x and y there."""
    found: list[tuple[Box, tuple[float, float] | None]] = []
    for region in tags.dataset.get("SequenceOfUltrasoundRegions") or ():
        codes = [numbers_in(region, f"Region{code}") for code in ("SpatialFormat", "DataType")]
        keywords = ("MinX0", "MinY0", "MaxX1", "MaxY1")
        corners = [numbers_in(region, f"RegionLocation{keyword}") for keyword in keywords]
        if codes != [[_FLAT], [_TISSUE]] or any(len(corner) != 1 for corner in corners):
            continue
        left, top, right, bottom = (int(corner[0]) for corner in corners)
        # The last pixel belongs to a region; devices that write the size of the frame mean the same.
        box = (left, top, min(right + 1, width), min(bottom + 1, height))
        if 0 <= left < right <= width and 0 <= top < bottom <= height:
            found.append((box, _deltas(region)))
    if not found:
        return None, None
    return max(found, key=lambda each: (each[0][2] - each[0][0]) * (each[0][3] - each[0][1]))


def _deltas(region: Any) -> tuple[float, float] | None:
    units = [numbers_in(region, f"PhysicalUnits{axis}Direction") for axis in "XY"]
    sides = [numbers_in(region, f"PhysicalDelta{axis}") for axis in "XY"]
    if units != [[_CM], [_CM]] or any(len(side) != 1 for side in sides):
        return None
    return 10 * abs(sides[0][0]), 10 * abs(sides[1][0])


def _pixel_size(tags: Tags, deltas: tuple[float, float] | None) -> tuple[float, float | None]:
    """Width by height of a pixel, and its height in mm: as the region says, else the file's spacing, else its
    pixel aspect, which has no unit."""
    spacing = tags.numbers("PixelSpacing") or tags.numbers("ImagerPixelSpacing")
    by_row = (spacing[1], spacing[0]) if len(spacing) == 2 else None
    for sides in (deltas, by_row):
        if sides and min(sides) > 0 and 1 / _STRAIGHT <= sides[0] / sides[1] <= _STRAIGHT:
            return sides[0] / sides[1], sides[1]
    aspect = tags.numbers("PixelAspectRatio")  # height : width
    if len(aspect) == 2 and min(aspect) > 0 and 1 / _STRAIGHT <= aspect[1] / aspect[0] <= _STRAIGHT:
        return aspect[1] / aspect[0], None
    return 1.0, None


def _rate(tags: Tags) -> float | None:
    """Frames a second from the first tag that states it: time of a frame, of each frame, or a rate."""
    steps = tags.numbers("FrameTime") or tags.numbers("FrameTimeVector")[1:]
    if steps and math.fsum(steps) > 0:
        return 1000 * len(steps) / math.fsum(steps)
    rates = tags.numbers("RecommendedDisplayFrameRate") or tags.numbers("CineRate")
    return rates[0] if rates and rates[0] > 0 else None
