"""The examples of docs/manifest.md are manifests that the gate accepts, with files of the kinds they name."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from learner_ray.cohort import load
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging.gate import bad_headers, decode
from tests.imaging.make_dicom import CLIP, RADIOGRAPH, brain, moving_screen, write_dicom, write_series
from tests.imaging.make_scans import head, numbered_frames, write_nifti, write_video

DOCS = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()
EXAMPLES = re.findall(r"^\*\*([\w -]+)\*\*.*?```csv\n(.*?)```", DOCS, re.DOTALL | re.MULTILINE)
SIDECAR = re.search(r"```json\n(.*?)```", DOCS, re.DOTALL)
MODALITY = {"Lung ultrasound": "lus", "ADNI": "mri", "BIDS": "mri", "X-ray": "xray"}


def plant(path: Path, number: int, modality: str) -> None:
    """Writes a scan of the kind that its path names, with a content of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    if path.suffix == ".mp4":
        write_video(path, numbered_frames(4 + number))
    elif path.name.endswith(".nii.gz"):
        write_nifti(path, head() + 7 * number)
    elif path.suffix == ".dcm":
        xray = modality == "xray"
        frames = rng.integers(0, 200, (1, 40, 40), dtype=np.uint8) if xray else moving_screen(4 + number)
        write_dicom(path, frames, sop_class=RADIOGRAPH if xray else CLIP)
    elif path.suffix:
        Image.fromarray(rng.integers(0, 200, (40, 40), dtype=np.uint8)).save(path)
    else:
        write_series(path, brain() + 7 * number, suffix=".dcm")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_is_accepted(name: str, example: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(example)
    if name == "X-ray":
        assert SIDECAR is not None
        (tmp_path / "manifest.score.json").write_text(SIDECAR[1])
    rows = list(csv.DictReader(example.splitlines()))
    for number, row in enumerate(rows):
        plant(tmp_path / row["path"], number, MODALITY[name])
    cohort = load(tmp_path, modality="" if name == "X-ray" else MODALITY[name])
    assert cohort.modality == MODALITY[name] and len(cohort.scans) == len(rows) and not cohort.notes
    assert len(cohort.pairs()) == 2 and not bad_headers(cohort)
    assert not decode(cohort, PixelSettings(32)).cache.bad


def test_every_kind_of_user_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == {*MODALITY}
