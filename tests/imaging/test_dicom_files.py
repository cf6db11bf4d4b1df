"""DICOM files of many devices: those that pydicom ships, and the odd ones beside the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.reader import read_scan
from tests.imaging.make_scans import SHARED_DATA

pydicom = pytest.importorskip("pydicom", reason="needs the extra [dicom]")
from pydicom.pixels import pixel_array  # noqa: E402

from learner_ray.imaging.dicom import read_dicom  # noqa: E402
from learner_ray.imaging.dicom_header import read_header  # noqa: E402
from learner_ray.imaging.dicom_pixels import decoded, grey_of  # noqa: E402

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"  # pydicom.data would download more
SHIPPED = {path.name: path for path in sorted(TEST_FILES.iterdir()) if path.is_file()}
ODD = {path.name: path for path in sorted((SHARED_DATA / "odd" / "dicom").glob("*"))}
FILES = {**SHIPPED, **ODD}

READ = {
    "JPGLosslessP14SV1_1s_1f_8b.dcm": 1,
    "OBXXXX1A_rle_2frame.dcm": 2,
    "RG3_J2KI.dcm": 1,
    "US1_J2KR.dcm": 1,
    "color-pl.dcm": 1,
    "examples_ybr_color.dcm": 30,
    "gdcm-US-ALOKA-16.dcm": 1,
    "ExplVR_BigEnd.dcm": 1,
    "examples_jpeg2k.dcm": 1,
    "examples_palette.dcm": 1,
    "examples_rgb_color.dcm": 1,
}
"""Ultrasound and radiographs, with their frames."""
REFUSED = {
    "MR_small.dcm": "is part of an MR series (MR Image Storage); make a volume",
    "MR_truncated.dcm": "is part of an MR series",
    "emri_small.dcm": "is part of an MR series (Enhanced MR Image Storage)",
    "CT_small.dcm": "is part of a CT series (CT Image Storage)",
    "liver_rle.dcm": "holds no scan (Segmentation Storage); leave it out",
    "rtplan.dcm": "holds no scan (RT Plan Storage)",
    "reportsi.dcm": "holds no scan (Basic Text SR Storage)",
    "waveform_ecg.dcm": "holds no scan (12-lead ECG Waveform Storage)",
    "no_meta.dcm": "cannot be read as DICOM (it does not state its SOP Class UID)",
    "README.txt": "is not of a supported kind",
    "JPGExtended.dcm": "cannot be decoded",
}
"""Files that hold no scan, with what is said of them."""


def independent_grey(path: Path) -> NDArray[np.int64]:
    """Grey frames (T, H, W) by pydicom's whole-file decoder and plain arithmetic."""
    dataset = pydicom.dcmread(path)
    values = pixel_array(dataset).astype(np.int64)
    if dataset.PixelRepresentation:
        values += 2 ** (dataset.BitsStored - 1)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        values = palette(dataset)[values]
    if dataset.SamplesPerPixel == 3 and dataset.BitsStored > 8:
        values = values // 2 ** (dataset.BitsStored - 8)
    if values.shape[-1] == 3:
        values = np.round(values @ [0.299, 0.587, 0.114]).astype(np.int64)
    elif dataset.PhotometricInterpretation == "MONOCHROME1":
        values = 2**dataset.BitsStored - 1 - values
    if dataset.SamplesPerPixel == 1 and dataset.PhotometricInterpretation != "PALETTE COLOR":
        values = values // 2 ** max(0, dataset.BitsStored - 8)
    return values.reshape(-1, dataset.Rows, dataset.Columns)


def palette(dataset: pydicom.Dataset) -> NDArray[np.int64]:
    """RGB of 8 bits for each index, (65536, 3), from the bytes of the three tables."""
    columns = []
    for name in ("Red", "Green", "Blue"):
        _, first, bits = dataset[f"{name}PaletteColorLookupTableDescriptor"].value
        assert first == 0 and bits == 16
        key = f"{name}PaletteColorLookupTableData"
        if key in dataset:
            table = list(np.frombuffer(dataset[key].value, "<u2"))
        else:
            table = unfolded(list(np.frombuffer(dataset["Segmented" + key].value, "<u2")))
        columns.append(np.pad(np.array(table, np.int64), (0, 65536 - len(table)), "edge") // 256)
    return np.stack(columns, -1)


def unfolded(words: list[int]) -> list[int]:
    """A table written as segments (PS3.3 C.7.9.2): 0 values, 1 a line to an end point."""
    table: list[int] = []
    while words:
        kind, count = int(words[0]), int(words[1])
        if kind == 0:
            table += [int(word) for word in words[2 : 2 + count]]
            words = words[2 + count :]
        else:
            assert kind == 1
            table += [int(value) for value in np.linspace(table[-1], int(words[2]), count + 1)[1:]]
            words = words[3:]
    return table


@pytest.mark.parametrize("name", READ)
def test_ultrasound_and_radiographs_are_read(name: str) -> None:
    if name not in FILES:
        pytest.skip("the shared data are not here")
    if name.startswith("JPGLossless"):
        pytest.importorskip("gdcm", reason="needs python-gdcm")
    assert read_scan([str(FILES[name])], 64).shape == (READ[name], 64, 64)


@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_scan_is_refused_in_one_line(name: str) -> None:
    if name not in FILES:
        pytest.skip("the shared data are not here")
    with pytest.raises(ScanError) as refused:
        read_scan([str(FILES[name])], 32)
    assert REFUSED[name] in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_is_refused_or_gives_the_frames_of_an_independent_decoder(name: str) -> None:
    path = str(FILES[name])
    try:
        read_dicom(path, 32)
    except ScanError:
        return
    header = read_header(path)
    grey = grey_of(header)
    frames = np.stack([grey(values) for values in decoded(path, header)]).astype(int)
    expected = independent_grey(FILES[name])
    assert frames.shape == expected.shape
    assert np.abs(frames - expected).max() <= 1
