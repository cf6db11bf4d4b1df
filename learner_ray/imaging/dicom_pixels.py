"""The pixels of a DICOM file, frame by frame, and how they become grey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learner_ray.cohort.dicom_tags import DAMAGE, DicomError
from learner_ray.imaging.dicom_header import GREYS, PALETTE, DicomHeader
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.raster import luma

PACKAGES = (
    "pydicom", "pyjpegls", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle",
    "python-gdcm",
)  # fmt: skip
"""Packages whose versions decide what pixels a file has; pydicom uses each of them where it is installed."""

_DECODERS = {"1.2.840.10008.1.2.4.50": "pillow"}
"""Decoders by transfer syntax, where pydicom would try a slower one first."""


def decoded(path: str, header: DicomHeader) -> Iterator[NDArray[Any]]:
    """The frames of a file as it stores them: values (H, W), or RGB (H, W, 3) where they are colours.

    Raises:
        ScanError: a frame cannot be decoded, or there are fewer than announced.
    """
    from pydicom import dcmread
    from pydicom.pixels import iter_pixels

    deflated = header.tags.transfer_syntax.is_deflated  # single frames of it cannot be found in the file
    decoder = _DECODERS.get(str(header.tags.transfer_syntax), "")
    shape = (header.height, header.width) + (() if header.colours in (*GREYS, PALETTE) else (3,))
    count = 0
    try:
        for values in iter_pixels(dcmread(path) if deflated else path, decoding_plugin=decoder):
            if values.shape != shape:
                raise ValueError(f"it is of {values.shape}, announced were {shape}")
            if count == header.frames:
                raise ValueError(f"{header.frames} are announced, but the file holds more")
            count += 1
            yield values
    except DAMAGE as error:
        raise ScanError(
            path,
            f"frame {count + 1} of {header.frames} cannot be decoded ({error}); export the file uncompressed",
        ) from error
    if count != header.frames:
        raise ScanError(path, f"announces {header.frames} frames but holds {count}: truncated?")


def grey_of(header: DicomHeader) -> Callable[[NDArray[Any]], NDArray[np.uint8]]:
    """The function that makes a decoded frame of a file grey, uint8 (H, W): colours by their luma, of values
    with more than 8 bits the highest eight.

    Raises:
        DicomError: its palette is damaged.
    """
    spare = max(0, header.bits - 8)
    if header.colours == PALETTE:
        table = luma(_palette(header))
        return lambda values: table[values]
    if header.colours in GREYS:
        return lambda values: (upright(values, header) >> spare).astype(np.uint8)
    return lambda values: luma((values >> spare).astype(np.uint8))


def upright(values: NDArray[Any], header: DicomHeader) -> NDArray[np.int64]:
    """Grey values (H, W) from 0, the darkest, to the highest that the bits used can state."""
    highest = (1 << header.bits) - 1
    wide = values.astype(np.int64)
    # Bits above those used may hold an overlay.
    wide = wide + (highest + 1) // 2 if header.signed else wide & highest
    turned: NDArray[np.int64] = np.clip(highest - wide if header.inverted else wide, 0, highest)
    return turned


def _palette(header: DicomHeader) -> NDArray[np.uint8]:
    """RGB of every value that a pixel can have, (values, 3)."""
    from pydicom.pixels import apply_color_lut

    try:
        rgb = apply_color_lut(np.arange(1 << header.allocated), header.tags.dataset)[:, :3]
    except DAMAGE as error:
        raise DicomError(f"cannot be read as DICOM (its palette: {error})") from error
    if int(rgb.max()) > 255:  # some files have 8-bit colours in tables of 16 bits
        rgb = rgb >> 8
    colours: NDArray[np.uint8] = rgb.astype(np.uint8)
    return colours
