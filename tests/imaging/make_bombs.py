"""Small files that announce, or unpack to, more than any memory holds, or that have a reader open others."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from tests.imaging.make_dicom import CLIP, write_dicom

UNPACKED = 4 << 30
"""Bytes to which the packed ones unfold: 4 MB of gzip."""


def zeros(count: int, packer: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    """So many bytes 0, packed by gzip as several members."""
    member = 1 << 24
    return packer(bytes(member)) * (count // member)


def nifti_header(side: int, kind: Any = np.int16) -> bytes:
    header = nibabel.Nifti1Header()
    header.set_data_shape((side, side, side))
    header.set_data_dtype(kind)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return bytes(header.binaryblock) + bytes(4)


def huge_nifti(path: Path) -> None:
    path.write_bytes(nifti_header(30_000) + bytes(1000))


def huge_zipped_nifti(path: Path) -> None:
    path.write_bytes(gzip.compress(nifti_header(30_000) + bytes(1000)))


def nifti_of_zeros(path: Path) -> None:
    """4 MB that hold what they announce: 1,200 x 1,200 x 1,200 voxels of 16 bits."""
    path.write_bytes(gzip.compress(nifti_header(1_200)) + zeros(UNPACKED))


def nifti_that_goes_on(path: Path) -> None:
    """A small volume, and 4 GB behind it."""
    path.write_bytes(gzip.compress(nifti_header(40)) + zeros(UNPACKED))


def huge_meta_image(path: Path) -> None:
    text = "ObjectType = Image\nNDims = 3\nDimSize = 30000 30000 30000\nElementType = MET_SHORT\n"
    path.write_bytes(f"{text}ElementDataFile = LOCAL\n".encode() + bytes(1000))


def nrrd_that_goes_on(path: Path) -> None:
    text = "NRRD0004\ntype: short\ndimension: 3\nsizes: 40 40 40\nendian: little\nencoding: gzip\n\n"
    path.write_bytes(text.encode() + zlib.compress(bytes(1 << 28)))


def nrrd_of_another_file(path: Path) -> None:
    """A header so long that the line that names another file lies beyond where headers are looked at."""
    text = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 8 8\nencoding: raw\n" + "# comment\n" * 7000
    path.write_text(f"{text}data file: /etc/passwd\n\n")


def png(path: Path, width: int, height: int, pixels: bytes) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def huge_png(path: Path) -> None:
    png(path, 50_000, 50_000, zlib.compress(bytes(1000)))


def png_of_little(path: Path) -> None:
    """As many pixels as a PNG may have, in a few bytes."""
    png(path, 11_000, 11_000, zlib.compress(bytes(1000)))


def tiff_of_pages(path: Path) -> None:
    """40 pages of 4,000 x 4,000 pixels in 700 KB: 2.6 GB as they are read."""
    page = Image.new("L", (4_000, 4_000))
    page.save(path, compression="tiff_adobe_deflate", save_all=True, append_images=[page] * 39)


def huge_webp(path: Path) -> None:
    Image.new("L", (48, 48), 90).save(path, lossless=True)
    content = bytearray(path.read_bytes())
    at = content.index(b"VP8L") + 9
    content[at : at + 4] = struct.pack("<I", 16_383 | 16_383 << 14)
    path.write_bytes(content)


def huge_gif(path: Path) -> None:
    Image.new("L", (48, 48), 90).save(path)
    content = bytearray(path.read_bytes())
    content[6:10] = struct.pack("<HH", 65_535, 65_535)
    path.write_bytes(content)


def program(path: Path) -> None:
    """PostScript, for which Pillow would run Ghostscript."""
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n%%EndComments\nshowpage\n")


def list_of_videos(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.mp4\n#EXT-X-ENDLIST\n")


def dicom(path: Path, **tags: Any) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 48, 48), dtype=np.uint8)
    write_dicom(path, frames, sop_class=CLIP, **tags)


def dicom_of_large_frames(path: Path) -> None:
    dicom(path, compressed=True, Rows=11_000, Columns=11_000)


def dicom_of_many_frames(path: Path) -> None:
    dicom(path, compressed=True, NumberOfFrames=60_000)


def dicom_that_unfolds(path: Path) -> None:
    """A deflated file: 600 MB in 600 KB."""
    from pydicom import dcmread
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dicom(path)
    data = dcmread(path)
    data.PixelData = bytes(600 << 20)
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)


BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "header.nii": (huge_nifti, "announces 54000000000000 bytes"),
    "header.nii.gz": (huge_zipped_nifti, "announces 54000000000000 bytes"),
    "zeros.nii.gz": (nifti_of_zeros, "6.9 GB, more than the 2 GB"),
    "beyond.nii.gz": (nifti_that_goes_on, "unpacks to more than"),
    "header.mha": (huge_meta_image, "announces 54000000000000 bytes"),
    "beyond.nrrd": (nrrd_that_goes_on, "unpacks to more than"),
    "long.nrrd": (nrrd_of_another_file, "header is longer than"),
    "header.png": (huge_png, "decompression bomb|announces 50,000 x 50,000 pixels"),
    "little.png": (png_of_little, "announces 11,000 x 11,000 pixels"),
    "pages.tif": (tiff_of_pages, "2.6 GB, more than the 2 GB"),
    "header.webp": (huge_webp, "16,384 x 16,384 pixels|decompression bomb"),
    "header.gif": (huge_gif, "65,535 x 65,535 pixels|cannot be decoded"),
    "program.png": (program, "its format is not known"),
    "list.mp4": (list_of_videos, "is a list that names other files"),
    "list.avi": (playlist, "is a list that names other files"),
    "large.dcm": (dicom_of_large_frames, "3 frames of 11000 x 11000 pixels"),
    "many.dcm": (dicom_of_many_frames, "60000 frames"),
    "deflated.dcm": (dicom_that_unfolds, "unfolds to more than"),
}
"""By file name: what writes it, and what is said of it."""
