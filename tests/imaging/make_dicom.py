"""DICOM files of any kind, made from grey frames, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless, generate_uid

from tests.imaging.make_scans import head

CLIP, STILL = "1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.6.1"
RADIOGRAPH, MR = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.4"

AXIAL, SAGITTAL, CORONAL = [1, 0, 0, 0, 1, 0], [0, 1, 0, 0, 0, -1], [1, 0, 0, 0, 0, -1]


def region(box: tuple[int, int, int, int], *, form: int = 1, kind: int = 1, cm: float = 0.02) -> Dataset:
    """A region by left, top, right and bottom, both pixels included."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = form, kind, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = box[:2]
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = box[2:]
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = cm
    return item


def write_dicom(
    path: Path,
    frames: NDArray[np.generic],
    *,
    sop_class: str = CLIP,
    colours: str = "MONOCHROME2",
    bits: int = 8,
    planar: bool = False,
    big_endian: bool = False,
    compressed: bool = False,
    regions: Sequence[Dataset] = (),
    magic: bool = True,
    **tags: Any,
) -> Path:
    """Writes frames, (T, H, W) of values or (T, H, W, 3) of colours, as they are to be stored.

    Args:
        path: the file.
        frames: values; with ``colours`` as what they mean.
        sop_class: UID of the SOP class.
        colours: photometric interpretation.
        bits: bits that are used.
        planar: store the colours one after another.
        big_endian: write in this byte order.
        compressed: by run lengths.
        regions: ultrasound regions.
        magic: begin with a preamble and ``DICM``.
        tags: any further tags by keyword; None removes one.
    """
    data = Dataset()
    data.file_meta = FileMetaDataset()
    syntax = ExplicitVRBigEndian if big_endian else ExplicitVRLittleEndian
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = sop_class
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.PatientID, data.PatientName, data.StudyDate = "P1", "Doe^Jane", "20260102"
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Rows, data.Columns = frames.shape[1:3]
    data.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        data.PlanarConfiguration = int(planar)
        frames = frames.transpose(0, 3, 1, 2) if planar else frames
    data.PhotometricInterpretation = colours
    data.BitsAllocated, data.BitsStored, data.HighBit = 8 * frames.dtype.itemsize, bits, bits - 1
    data.PixelRepresentation = int(frames.dtype.kind == "i")
    if len(frames) > 1:
        data.NumberOfFrames = len(frames)
    if regions:
        data.SequenceOfUltrasoundRegions = Items(list(regions))
    data.PixelData = frames.astype(frames.dtype.newbyteorder(">" if big_endian else "<")).tobytes()
    data["PixelData"].VR = "OW" if frames.dtype.itemsize > 1 else "OB"
    if compressed:
        data.compress(RLELossless)
    _set(data, tags)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    if magic:
        data.save_as(path, enforce_file_format=True)
    else:
        del data.file_meta
        data.save_as(path, little_endian=not big_endian, implicit_vr=False)
    return path


def write_series(
    folder: Path,
    voxels: NDArray[Any],
    *,
    orientation: Sequence[float] = AXIAL,
    skip: int = -1,
    suffix: str = "",
    **tags: Any,
) -> list[Path]:
    """Slices of voxels (Z, H, W), 2 mm apart, with pixels of 1 mm, in files of random names."""
    folder.mkdir(parents=True, exist_ok=True)
    across = np.cross(orientation[:3], orientation[3:])
    series = {"SeriesInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(), "Modality": "MR"}
    series |= {"StudyInstanceUID": f"1.2.3.{tags.get('StudyDate', '20260102')}", "StudyTime": "101500"}
    series |= {"ImageType": ["ORIGINAL", "PRIMARY", "M"], "PixelSpacing": ["1", "1"], "SliceThickness": "2"}
    series |= {"ImageOrientationPatient": orientation, "PatientID": "P1", **tags}
    return [
        write_dicom(
            folder / f"I{generate_uid()[-12:]}{suffix}",
            pixels[None].astype(np.int16 if voxels.dtype == np.int16 else np.uint16),
            sop_class=MR,
            bits=16 if voxels.dtype == np.int16 else 12,
            **{
                "ImagePositionPatient": [round(float(each), 6) for each in across * 2 * number],
                "InstanceNumber": str(number + 1),
                **series,
            },
        )
        for number, pixels in enumerate(voxels)
        if number != skip
    ]


def brain() -> NDArray[np.float32]:
    """Voxels (Z, H, W) of a head, up, backwards and to the left, as axial slices of DICOM run."""
    return head((30, 28, 24)).transpose(2, 1, 0)[:, ::-1, ::-1]


def _set(data: Dataset, tags: Mapping[str, Any]) -> None:
    for keyword, value in tags.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)


def palette_tags(table: NDArray[np.uint16]) -> dict[str, Any]:
    """The tags of a palette of 16 bits, from its colours (N, 3)."""
    tags: dict[str, Any] = {}
    for name, column in zip(("Red", "Green", "Blue"), table.T, strict=True):
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [len(table) % 65536, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = column.astype("<u2").tobytes()
    return tags


def moving_screen(count: int = 12, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """Frames (T, H, W) of a screen: speckle that changes within columns 40-119 and rows 30-99, and still bars
    outside of it."""
    rng = np.random.default_rng(7)
    frames = np.zeros((count, height, width), np.uint8)
    frames[:, 30:100, 40:120] = rng.integers(30, 120, (count, 70, 80))
    frames[:, 5:12, 10:150:4] = 220
    return frames
