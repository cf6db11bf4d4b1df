"""An export of a hospital's archive, made up: folders and files without suffixes, of every kind.

Written by pydicom alone; nothing of the importer is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from tests.imaging.make_dicom import (
    CLIP,
    RADIOGRAPH,
    STILL,
    moving_screen,
    palette_tags,
    region,
    write_dicom,
)

REPORT, PLAN = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.481.5"
ECG, SEGMENTATION = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.66.4"
SCREENSHOT = "1.2.840.10008.5.1.4.1.1.7"
DUAL = [region((40, 30, 79, 99)), region((80, 30, 119, 99), cm=0.03), region((0, 100, 159, 119), form=4)]
VISITS = {
    "A": ("20250110", "1994.11.05", "20250211"),
    "B": ("20250301", "20250401", "20250501"),
    "C": ("20250601", "20250701"),
    "D": ("20250801", "20250901"),
}
"""Dates of the studies of each patient."""


def write_hospital(root: Path) -> dict[str, str]:
    """Writes the tree below a folder: ``DICOM/S<patient>/ST<study>/IM<number>``.

    Returns:
        Why each file is no scan, by its path below the folder; empty for one that is.
    """
    meant: dict[str, str] = {}
    for patient, dates in VISITS.items():
        for number, date in enumerate(dates):
            folder = Path("DICOM", f"S{patient}", f"ST{number}")
            (root / folder).mkdir(parents=True)
            write_study(root, folder, patient, date, meant)
    first = root / "DICOM/SA/ST0/IM0"
    shutil.copyfile(first, root / "DICOM/SA/ST0/COPY")
    meant["DICOM/SA/ST0/COPY"] = "a copy"  # of IM0, or IM0 of it: the first by name is kept
    for name, kind, what in (("SR", REPORT, "SR"), ("PLAN", PLAN, "RT Plan"), ("ECG", ECG, "ECG Waveform")):
        write_dicom(root / f"DICOM/SA/ST0/{name}", moving_screen(1), sop_class=kind, PixelData=None)
        meant[f"DICOM/SA/ST0/{name}"] = what
    write_dicom(root / "DICOM/SA/ST0/SEG", moving_screen(1), sop_class=SEGMENTATION)
    meant["DICOM/SA/ST0/SEG"] = "Segmentation"
    write_dicom(root / "DICOM/SA/ST0/SC", moving_screen(1), sop_class=SCREENSHOT)
    meant["DICOM/SA/ST0/SC"] = "screenshot, where ultrasound is imported"
    write_dicom(root / "DICOM/SA/ST0/CR", moving_screen(1), sop_class=RADIOGRAPH)
    meant["DICOM/SA/ST0/CR"] = "radiograph, where ultrasound is imported"
    write_dicom(root / "DICOM/SA/ST0/RAW", moving_screen(3), magic=False)
    meant["DICOM/SA/ST0/RAW"] = "does not state its Transfer Syntax"
    write_dicom(root / "DICOM/SA/ST0/UNDATED", moving_screen(3), StudyDate=None)
    meant["DICOM/SA/ST0/UNDATED"] = "no StudyDate"
    (root / "DICOM/README.TXT").write_text("Viewer: start VIEWER.EXE")
    (root / "DICOM/VIEWER.EXE").write_bytes(bytes(300))
    return meant


def write_study(root: Path, folder: Path, patient: str, date: str, meant: dict[str, str]) -> None:
    """Writes two clips, each of its own colours, and a still of one study; patient B has no PatientID."""
    study = generate_uid()
    grey = moving_screen()
    stored: list[tuple[NDArray[Any], dict[str, Any]]] = [
        (np.repeat(grey[..., None], 3, -1), {"colours": "RGB", "planar": True, "regions": DUAL}),
        (grey, {"colours": "PALETTE COLOR", **palette_tags(grey_palette())}),
    ]
    if patient == "C":
        stored[0] = (255 - grey, {"colours": "MONOCHROME1", "compressed": True})
        neutral = np.full_like(grey, 128)
        stored[1] = (np.stack([grey, neutral, neutral], -1), {"colours": "YBR_FULL"})
    tags = {
        "PatientID": "" if patient == "B" else f"MRN-{patient}",
        "StudyDate": date,
        "StudyInstanceUID": study,
        "Manufacturer": "Maker",
        "ManufacturerModelName": "One",
        "InstitutionName": "Saint Elsewhere",
    }
    for number, (frames, how) in enumerate(stored):
        series = {"SeriesDescription": f"lung {'LR'[number]}{number + 1}", "StudyTime": f"10153{number}.5"}
        write_dicom(root / folder / f"IM{number}", frames, sop_class=CLIP, **how, **tags, **series)
        meant[str(folder / f"IM{number}")] = "PatientID is empty" if patient == "B" else ""
    write_dicom(root / folder / "IM9", grey[:1], sop_class=STILL, **tags)
    meant[str(folder / "IM9")] = "PatientID is empty" if patient == "B" else "a still picture"


def grey_palette() -> NDArray[np.uint16]:
    """A palette of 16 bits in which every index is its own grey, (256, 3)."""
    return np.repeat(np.arange(256, dtype=np.uint16)[:, None] * 257, 3, 1)
