"""Which package decodes the compressed pixels of a DICOM file."""

from __future__ import annotations

from typing import Any

from learner_ray.cohort.dicom_tags import INSTALL, DicomError

_JPEG_DECODERS = {
    "python-gdcm": (50, 51, 57, 70),
    "pyjpegls": (80, 81),
    "pylibjpeg pylibjpeg-openjpeg": (90, 91, 201, 202, 203),
}
_DECODERS = {
    f"1.2.840.10008.1.2.4.{number}": packages
    for packages, numbers in _JPEG_DECODERS.items()
    for number in numbers
} | {"1.2.840.10008.1.2.5": "pylibjpeg pylibjpeg-rle"}
"""Packages that decode a transfer syntax, none of them under the GPL."""


def require_decoder(syntax: Any) -> None:
    """Refuses a compressed transfer syntax that nothing decodes here.

    Raises:
        DicomError: it is not read, or the package that it needs, which the message names, is missing.
    """
    from pydicom.pixels import get_decoder

    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:  # pydicom knows no decoder for it, whatever is installed
        raise DicomError(
            f"is compressed as {syntax.name}, which is not read; export it uncompressed, or as a video file"
        ) from None
    if not available:
        packages = _DECODERS.get(str(syntax), "python-gdcm")
        raise DicomError(
            f"is compressed as {syntax.name}, which needs {packages}; pip install {packages}, or all that "
            f"DICOM may need: {INSTALL}"
        )
