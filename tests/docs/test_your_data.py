"""README.md and docs/your-data.md, run as they stand on DICOM files made up here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from tests.docs.typed import ROOT, carry_out, commands
from tests.imaging.make_dicom import write_dicom

PAGE = "docs/your-data.md"
PATIENTS = 8
SATURATIONS = (88, 97, 96, 84)
"""Of the visits of a patient, begun at another place for each: at one FiO2 all three classes occur."""


def write_export(folder: Path) -> list[Path]:
    """Writes DICOM files without suffixes, one for each visit, and a table of scores with the page's columns.

    Returns:
        The files of the first patient, in the order of the visits.
    """
    rng = np.random.default_rng(0)
    (columns, *_) = re.findall(r"```csv\n(.*?)\n", (ROOT / PAGE).read_text())
    lines, first = [columns], []
    for patient in range(PATIENTS):
        for visit in range(len(SATURATIONS)):
            saturation = SATURATIONS[(patient + visit) % len(SATURATIONS)]
            file = folder / f"export/ST{patient}/IM{visit}"
            file.parent.mkdir(parents=True, exist_ok=True)
            frames = rng.integers(0, 250 - 2 * saturation, (4, 64, 64), dtype=np.uint8)
            tags = {"PatientID": f"MRN-{patient}", "StudyDate": f"2025011{visit}", "StudyTime": "101500"}
            write_dicom(file, frames, **tags)
            lines.append(f"MRN-{patient},2025-01-1{visit},{saturation},0.28")
            first += [file] if patient == 0 else []
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    return first


def test_the_readme_has_no_command_of_its_own() -> None:
    assert set(commands("README.md")) <= set(commands(PAGE))


@pytest.mark.slow
@pytest.mark.usefixtures("joined")
def test_from_dicom_files_to_a_report_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scans = write_export(tmp_path)
    *lines, last = commands(PAGE)
    assert [carry_out(line) for line in lines] == [0] * len(lines)
    for made in ("gallery.html", "report/index.html", "handed-out/WHAT-IS-IN-IT.txt"):
        assert Path(made).is_file()
    ledger = pd.read_parquet("results/lus/ledger.parquet")
    assert (
        set(ledger["y_true"]) == {0, 1, 2}
        and not ledger["phantom"].any()
        and ledger["patient"].nunique() == PATIENTS
    )

    run = ledger.loc[ledger["arm"] == "mse", "run_hash"].iloc[0]
    named = {"RUN_HASH": run, "SCAN_1": str(scans[0]), "SCAN_2": str(scans[1])}
    assert carry_out(last, named=named) == 0
    assert pd.read_csv("predictions.csv")["p_same"].isna().tolist() == [True, False]
