"""The kind of a scan's file, found from its name and its first bytes. Decodes nothing, and loads no PyTorch.

The readers open files through the same functions, so that a header refused here is one they refuse.
"""

from __future__ import annotations

import codecs
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath

import av
from PIL import Image, UnidentifiedImageError

from learner_ray.cohort.dicom_tags import MAGIC_BYTES, begins_dicom, is_dicom
from learner_ray.cohort.scan_files import is_mr_slice, is_pair, names_voxels
from learner_ray.core.scan_limit import DEFAULT_SCAN_GB
from learner_ray.imaging import dicom_header
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.limits import (
    MOST_VIDEO_PIXELS,
    require_plausible,
    require_within,
)
from learner_ray.imaging.volume_files import read_header

SUFFIXES = {
    "video": (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".gif"),
    "volume": (".nii", ".nii.gz", ".hdr", ".img", ".mgz", ".mgh", ".mha", ".mhd", ".nrrd", ".nhdr"),
    "picture": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"),
    "dicom": (".dcm", ".dicom", ".ima"),
}
"""Suffixes of the files that can be read, by kind. DICOM is recognised without one, too."""

PICTURE_DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""Errors that Pillow raises on a damaged file."""
# Devices write titles in Latin-1; before PyAV 19 that is an error unless asked to be overlooked.
_OPEN_OPTIONS = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
_CONTAINERS = (
    "mov,mp4,avi,matroska,webm,asf,mpeg,mpegts,mpegvideo,m4v,h264,hevc,mjpeg,flv,ogg,gif"
)  # fmt: skip
"""FFmpeg's names of the containers that it may open. It goes by content, and others, such as ``concat``, are
lists of further files, which it would open, too."""
_LISTS = (b"ffconcat", b"#EXT", b"<?xml", b"<MPD", b"v=0", b"[playlist]")
"""Starts of lists of videos, which are named such in an error."""
STACKS = ("TIFF", "WEBP")
"""Formats whose pages are frames. Further pictures in a PNG or JPEG are previews or animations of one."""
_PICTURES = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
"""Pillow's names of the formats that it may open. It goes by content, and runs another program for some, such
as EPS."""


def file_kind(path: str) -> str:
    """``volume``, ``video``, ``picture`` or ``dicom``: by a file's suffix or, where that is unknown, by its
    content; empty where it is none that is read."""
    return kind_by_name(path) or ("dicom" if is_dicom(path) else "")


def kind_by_name(path: str) -> str:
    """The kind that a file's suffix states, as in :func:`file_kind`; empty where it states none, and the file
    can only be DICOM."""
    name = PurePath(path).name.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if name.endswith(suffixes)), "")


def check_header(files: Sequence[str], most_gb: float = DEFAULT_SCAN_GB) -> None:
    """Reads the header of what is read at once: a file, or the files of one volume.

    Args:
        files: of one part of a scan, as :func:`parts_of` gives them.
        most_gb: GB of values that may be held at a time. Of clips one frame is.

    Raises:
        ScanError: it is missing, empty, of a kind that is not read, its header is not one of its kind, or
            announces more than the file can hold, or than may be held.
    """
    kinds, path = check_kinds(files), files[0]
    if kinds[0] == "volume" or len(files) > 1:
        require_within(path, read_header(files).shape, most_gb)
    elif kinds[0] == "video":
        with open_video(path):
            pass
    elif kinds[0] == "dicom":
        header = dicom_header.read_header(path)
        require_within(path, (header.height, header.width), most_gb)
    else:
        with open_picture(path) as image:
            pages = getattr(image, "n_frames", 1) if image.format in STACKS else 1
            require_within(path, (pages, image.height, image.width), most_gb)


def parts_of(files: Sequence[str]) -> list[tuple[str, ...]]:
    """The files of a scan, those together that are read at once: the two of a pair, the slices of a series.

    Args:
        files: in the order in which they are stacked. Those that cannot be opened stay alone.
    """
    parts: list[tuple[str, ...]] = []
    series = False
    for path in files:
        dicom = len(files) > 1 and file_kind(path) == "dicom"
        if parts and (is_pair((*parts[-1], path)) or (series and dicom)):
            parts[-1] += (path,)
        else:
            parts.append((path,))
            series = dicom and is_mr_slice(path)  # the others of a series must be MR, too
    return parts


def check_kinds(files: Sequence[str]) -> list[str]:
    """The kinds of the files of one part of a scan, as in :func:`check_kind`. The voxels that a header names
    have no kind of their own.

    Raises:
        ScanError: as :func:`check_kind`.
    """
    return [check_kind(path) for path in (files[:1] if names_voxels(files[0]) else files)]


def check_kind(path: str) -> str:
    """The kind of a file, as in :func:`file_kind`.

    Raises:
        ScanError: the file is missing or empty, has an unknown suffix, or is DICOM under another name, which
            FFmpeg would open.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(MAGIC_BYTES)
    except OSError as error:
        raise ScanError(path, f"cannot be opened ({error.strerror})") from error
    kind = file_kind(path)
    if not kind:
        known = " ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise ScanError(path, f"is not of a supported kind ({known}, or DICOM without a suffix)")
    if not start:
        raise ScanError(path, "is empty")
    if kind != "dicom" and begins_dicom(start):
        raise ScanError(path, "is a DICOM file with another suffix; rename it to .dcm")
    return kind


@contextmanager
def open_video(path: str) -> Iterator[av.container.InputContainer]:
    """Opens a container with a video stream.

    Raises:
        ScanError: FFmpeg cannot read the file, or it holds no video.
    """
    with open(path, "rb") as stream:
        if stream.read(16).removeprefix(codecs.BOM_UTF8).lstrip().startswith(_LISTS):
            raise ScanError(path, "is a list that names other files; list these instead")
    safe = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(path, options=safe, **_OPEN_OPTIONS) as container:
            if not container.streams.video:
                raise ScanError(path, "holds no video")
            video = container.streams.video[0]
            require_plausible(path, video.width, video.height, os.path.getsize(path), most=MOST_VIDEO_PIXELS)
            yield container
    except av.FFmpegError as error:
        raise ScanError(path, f"cannot be decoded ({error.strerror})") from error


@contextmanager
def open_picture(path: str) -> Iterator[Image.Image]:
    """Opens a picture whose pixels are not read yet.

    Raises:
        ScanError: Pillow cannot read the file, now or when its pixels are read.
    """
    try:
        # Of a path Pillow maps uncompressed pixels, wrongly where a TIFF is stored on its side (Pillow 13.0).
        with open(path, "rb") as stream, Image.open(stream, formats=_PICTURES) as image:
            require_plausible(path, image.width, image.height, os.path.getsize(path))
            yield image
    except UnidentifiedImageError as error:  # whose text is the path again
        raise ScanError(path, "cannot be read as a picture (its format is not known)") from error
    except PICTURE_DAMAGE as error:
        raise ScanError(path, f"cannot be read as a picture ({error})") from error
