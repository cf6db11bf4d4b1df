"""DICOM files: known by their content, and read as far as the pixels begin.

Importers and readers look at the same tags, so this lies below both. No pixel is read here.
"""

from __future__ import annotations

import io
import logging
import math
import os
import warnings
import zlib
from dataclasses import dataclass
from typing import IO, Any

_MAGIC, _MAGIC_AT = b"DICM", 128
MAGIC_BYTES = _MAGIC_AT + len(_MAGIC)
"""Bytes at the start of a file that say whether it is DICOM, where it has a preamble."""
INSTALL = "pip install 'learner-ray[dicom]'"
KINDS = {
    "1.2.840.10008.5.1.4.1.1.3.1": "ultrasound",
    "1.2.840.10008.5.1.4.1.1.6.1": "ultrasound",
    "1.2.840.10008.5.1.4.1.1.3": "ultrasound",  # retired
    "1.2.840.10008.5.1.4.1.1.6": "ultrasound",  # retired
    "1.2.840.10008.5.1.4.1.1.1": "radiograph",
    "1.2.840.10008.5.1.4.1.1.1.1": "radiograph",
    "1.2.840.10008.5.1.4.1.1.1.1.1": "radiograph",
    "1.2.840.10008.5.1.4.1.1.7": "screenshot",
    "1.2.840.10008.5.1.4.1.1.7.2": "screenshot",
    "1.2.840.10008.5.1.4.1.1.7.3": "screenshot",
    "1.2.840.10008.5.1.4.1.1.7.4": "screenshot",
    "1.2.840.10008.5.1.4.1.1.4": "mr",
    "1.2.840.10008.5.1.4.1.1.4.1": "mr",  # enhanced
    "1.2.840.10008.5.1.4.1.1.2": "ct",
    "1.2.840.10008.5.1.4.1.1.2.1": "ct",  # enhanced
}
"""What the pictures of a SOP class are: ultrasound, radiograph (CR and DX), screenshot (secondary capture),
MR or CT."""
DAMAGE = Exception
"""What damaged tags and pixels raise: pydicom and its decoders have no common error, and those of their own
derive from no other. It is caught around their calls alone."""

_DEFLATED = "1.2.840.10008.1.2.1.99"
_STORAGE = "1.2.840.10008."
"""Begins every SOP class of the standard."""
_BEFORE_CLASS = 1 << 16
"""Bytes at the start of a file that hold its SOP class."""
_SOP_CLASS = 0x00080016
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_UNDEFINED = 0xFFFFFFFF
_MOST_INFLATED = 1 << 29
"""Bytes that a file with the transfer syntax "deflated" may unfold to."""
_STEP_BYTES = 1 << 16


class DicomError(Exception):
    """A file that cannot be read as DICOM, or not without a package; the text goes on from its name."""


@dataclass(frozen=True, kw_only=True)
class Tags:
    """The tags of a file before its pixels."""

    dataset: Any
    """pydicom's ``Dataset``."""
    pixel_bytes: int | None
    """Announced length of the pixels; None where there are none, -1 where they are compressed."""
    room: int
    """Bytes of the file from its first pixel on; without meaning where it is deflated."""

    @property
    def kind(self) -> str:
        """One of the values of ``KINDS``; empty for other classes."""
        return KINDS.get(self.text("SOPClassUID"), "")

    @property
    def class_name(self) -> str:
        """The name of the SOP class, such as ``RT Plan Storage``, or its number where it has none."""
        uid = self.dataset.get("SOPClassUID")
        uid = uid or getattr(self.dataset, "file_meta", {}).get("MediaStorageSOPClassUID")  # of a DICOMDIR
        return str(getattr(uid, "name", uid or "no SOP class"))

    @property
    def transfer_syntax(self) -> Any:
        """The UID that says how pixels are stored; None where the file does not say."""
        return getattr(self.dataset, "file_meta", {}).get("TransferSyntaxUID")

    def text(self, keyword: str) -> str:
        """A tag as text without spaces around it, empty where it is absent or cannot be parsed."""
        try:
            value = self.dataset.get(keyword)
        except DAMAGE:
            return ""
        return "" if value is None else " ".join(str(value).split())

    def numbers(self, keyword: str) -> list[float]:
        """The numbers of a tag, none where it is absent or holds something else."""
        return numbers_in(self.dataset, keyword)


def numbers_in(dataset: Any, keyword: str) -> list[float]:
    """The numbers of a tag of pydicom's ``dataset``, none where it is absent or holds something else, such as
    ``nan``."""
    try:
        value = dataset.get(keyword)
        many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        found = [float(each) for each in many if each is not None]
    except DAMAGE:
        return []
    return found if all(map(math.isfinite, found)) else []


def begins_dicom(start: bytes) -> bool:
    """Whether a file says in its first ``MAGIC_BYTES``, of which there may be more, that it is DICOM."""
    return start[_MAGIC_AT:MAGIC_BYTES] == _MAGIC


def has_magic(path: str | os.PathLike[str]) -> bool:
    """Whether a file says at its start that it is DICOM."""
    try:
        with open(path, "rb") as stream:
            return begins_dicom(stream.read(MAGIC_BYTES))
    except OSError:
        return False


def is_dicom(path: str | os.PathLike[str]) -> bool:
    """Whether a file is DICOM: it says so, or begins with tags among which is a SOP class.

    Names are not looked at: archives write files such as ``IM000001``. Without pydicom only those are
    recognised that say so.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(_BEFORE_CLASS)
    except OSError:
        return False
    if begins_dicom(start):
        return True
    try:
        from pydicom.filereader import read_partial
    except ImportError:
        return False
    _silence()
    try:
        dataset = read_partial(
            io.BytesIO(start), stop_when=lambda tag, vr, length: tag > _SOP_CLASS, force=True
        )
        return str(dataset.get("SOPClassUID", "")).startswith(_STORAGE)
    except DAMAGE:
        return False


def read_tags(path: str | os.PathLike[str]) -> Tags:
    """The tags of a file, up to its pixels.

    Raises:
        DicomError: the file cannot be parsed, or pydicom is not installed.
        OSError: the file cannot be opened.
    """
    try:
        from pydicom.filereader import read_partial
    except ImportError as error:
        raise DicomError(f"is DICOM, which needs the package pydicom; {INSTALL}") from error
    _silence()
    announced, starts = list[int](), list[int]()

    def at_pixels(tag: int, vr: str | None, length: int) -> bool:
        if tag in _PIXELS:
            announced.append(-1 if length == _UNDEFINED else length)
            starts.append(stream.tell())
        return tag in _PIXELS

    with open(path, "rb") as stream:
        try:
            _require_modest(stream)
            dataset = read_partial(stream, stop_when=at_pixels, force=True)
            room = os.fstat(stream.fileno()).st_size - (starts or [stream.tell()])[0]
        except DAMAGE as error:
            raise DicomError(f"cannot be read as DICOM ({error})") from error
    return Tags(dataset=dataset, pixel_bytes=announced[0] if announced else None, room=room)


def _require_modest(stream: IO[bytes]) -> None:
    """Refuses a deflated file that unfolds to very much, and leaves the stream at its start. pydicom would
    unfold all of it at once."""
    from pydicom.filereader import _read_file_meta_info, read_preamble

    read_preamble(stream, force=True)
    syntax = _read_file_meta_info(stream).get("TransferSyntaxUID")
    unfold, held = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while syntax == _DEFLATED and not unfold.eof and (step := stream.read(_STEP_BYTES)):
        held += len(unfold.decompress(step))
        if held > _MOST_INFLATED:
            raise ValueError(f"it unfolds to more than {_MOST_INFLATED:,} bytes")
    stream.seek(0)


def _silence() -> None:
    """Without it pydicom remarks on tags that nobody here asks for; what matters is an error."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"pydicom\b")
    logging.getLogger("pydicom").setLevel(logging.ERROR)
