"""How much a file may announce. A header of a few bytes can announce more values than any memory holds, and a
compressed file of 4 MB unfold to 14 GB: both are refused before the values are read.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Sequence

from learner_ray.imaging.errors import ScanError

MOST_PIXELS = 1 << 27
"""More pixels in one picture are damage: the largest detectors of radiographs have a fifth of it."""
MOST_VIDEO_PIXELS = 1 << 25
"""More pixels in a frame of a video are damage: as many has 8K."""
MOST_FRAMES = 1 << 16
"""More frames are no scan: 44 minutes at 25 a second."""
ZIP_MOST = 1032
"""Bytes that one byte of zlib or gzip can unfold to, at most."""

_STEP_BYTES = 1 << 16
"""Bytes that are unpacked at a time, to 64 MB at most."""
_VALUE_BYTES = 4
"""Readers hold every value as float32, however few bits it has in the file."""
_PLAUSIBLE_PIXELS = 1 << 22
"""A picture with no more pixels may be as small a file as can be: of one colour, or a mask."""


class TooMuchError(ScanError):
    """A file that announces more than may be read here: with a higher limit, or on another machine, it may
    well be read."""


def require_within(path: str, shape: Sequence[int], most_gb: float) -> None:
    """Refuses a file with more values than a limit allows.

    Args:
        path: the file.
        shape: of its values, in any order of axes.
        most_gb: GB that they may have at most, at 4 bytes a value.

    Raises:
        TooMuchError: they have more.
    """
    gigabytes = math.prod(map(int, shape)) * _VALUE_BYTES / 1e9
    if gigabytes > most_gb:
        said = " x ".join(f"{length:,}" for length in shape)
        raise TooMuchError(
            path,
            f"announces {said} values, {gigabytes:,.1f} GB, more than the {most_gb:g} GB that a scan may "
            "have; where that is right, allow it with --max-scan-gb",
        )


def require_plausible(
    path: str, width: int, height: int, file_bytes: int, *, most: int = MOST_PIXELS
) -> None:
    """Refuses a compressed picture or frame that no file of its size holds.

    Args:
        path: the file.
        width: of the picture in pixels.
        height: likewise.
        file_bytes: size of what holds it, compressed.
        most: pixels in any picture.

    Raises:
        ScanError: there are more pixels than that, or more than 1,032 for each byte.
    """
    if width * height > most or not is_plausible(width * height, file_bytes):
        raise ScanError(
            path, f"announces {width:,} x {height:,} pixels in {file_bytes:,} bytes; it is damaged"
        )


def is_plausible(pixels: int, file_bytes: int) -> bool:
    """Whether a compressed picture of so many pixels can lie in so many bytes."""
    return pixels <= max(_PLAUSIBLE_PIXELS, ZIP_MOST * file_bytes)


def gunzip(content: bytes, most: int) -> bytes:
    """What a gzip file holds, its checksum verified.

    Args:
        content: of the file.
        most: bytes that it may hold. Memory never holds many more.

    Raises:
        ValueError: it holds more.
        EOFError, OSError, zlib.error: it is damaged.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        held = stream.read(most + 1)
    if len(held) > most:
        raise ValueError(f"it unpacks to more than the {most:,} bytes that its header announces")
    return held


def require_unzipped(content: bytes, most: int) -> None:
    """Unpacks what zlib or gzip has packed, keeps nothing of it, and so refuses what is damaged.

    Args:
        content: packed.
        most: bytes that it may hold.

    Raises:
        ValueError: it holds more.
        zlib.error: it is damaged.
    """
    unzip, room = zlib.decompressobj(zlib.MAX_WBITS | 32), most
    for start in range(0, len(content), _STEP_BYTES):
        room -= len(unzip.decompress(content[start : start + _STEP_BYTES]))
        if room < 0:
            raise ValueError(f"it unpacks to more than the {most:,} bytes that its header announces")
        if unzip.eof:
            return
    raise zlib.error("incomplete or truncated stream")
