"""Which MR series of an export become volumes, and that the volume is the one that was scanned."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from learner_ray.cli.import_cohort import main

pytest.importorskip("pydicom", reason="needs the extra [dicom]")
pytest.importorskip("dcm2niix", reason="needs the extra [dicom]")
from tests.imaging.make_dicom import AXIAL, CORONAL, SAGITTAL, brain, write_series
from tests.imaging.make_scans import SHARED_DATA

pytestmark = pytest.mark.slow


def run_import(folder: Path, *options: str) -> int:
    scores = ["--scores", str(folder / "scores.csv"), "--score", "MMSE"]
    return main(["dicom", str(folder / "export"), *scores, "--out", str(folder / "m.csv"), *options])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two visits of one patient, with all that a session of MR holds beside its T1, and one of another."""
    other = {"StudyDate": "20260301", "PatientID": "P2", "SeriesDescription": "T1"}
    write_series(tmp_path / "export" / "other", brain() + 2, **other)
    for number, date in enumerate(("20260105", "20260710")):
        study = tmp_path / "export" / date
        first: dict[str, Any] = {"StudyDate": date, "SeriesNumber": "3"}
        write_series(study / "a", brain() + number, SeriesDescription="MPRAGE", **first)
        repeat: dict[str, Any] = {"StudyDate": date, "SeriesNumber": "2"}
        write_series(study / "b", brain(), SeriesDescription="Accelerated MPRAGE", **repeat)
        write_series(study / "c", brain(), SeriesDescription="T2 FLAIR", **first)
        write_series(study / "d", brain()[:5], SeriesDescription="T1 scout", **first)
        mip = ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]
        write_series(study / "e", brain(), SeriesDescription="T1 MIP", ImageType=mip, **first)
        for way in (AXIAL, SAGITTAL, CORONAL):
            three: dict[str, Any] = {"SeriesInstanceUID": f"1.2.9{number}", **first}
            write_series(study / "f", brain()[:22], orientation=way, SeriesDescription="T1 planes", **three)
    (tmp_path / "scores.csv").write_text(
        "PTID,EXAMDATE,MMSE\nP1,2026-01-05,28\nP1,2026-07-10,24\nP2,2026-03-01,30\n"
    )
    return tmp_path


def test_the_t1_of_each_visit_becomes_a_volume_and_all_else_is_left_out(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_import(archive) == 0
    with (archive / "m.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    found = [(row["patient"], row["day"], row["score"]) for row in rows]
    assert found == [("P1", "0", "28"), ("P1", "186", "24"), ("P2", "0", "30")]
    for number, row in enumerate(rows):
        volume = nibabel.as_closest_canonical(nibabel.load(archive / row["path"]))
        np.testing.assert_allclose(volume.header.get_zooms(), (1, 1, 2), rtol=1e-5)
        expected = (brain() + number).astype(np.uint16)[:, ::-1, ::-1].transpose(2, 1, 0)
        np.testing.assert_array_equal(np.asarray(volume.dataobj), expected)
    with (archive / "m-left-out.csv").open(newline="") as stream:
        left = sorted(row["reason"].partition(":")[0] for row in csv.DictReader(stream))
    assert left == sorted(
        2
        * [
            "a repeat",
            "a series of another name",
            *4 * ["a localiser"],
            "a projection or derived series",
        ]
    )
    assert "volumes are made in" in capsys.readouterr().out


def test_a_dry_run_makes_nothing_and_a_second_run_makes_nothing_again(archive: Path) -> None:
    assert run_import(archive, "--dry-run") == 0
    assert not (archive / "m-volumes").exists()
    run_import(archive)
    volumes = {path: path.stat().st_mtime_ns for path in (archive / "m-volumes").iterdir()}
    assert len(volumes) == 3
    (archive / "m.csv").unlink()
    (archive / "m.score.json").unlink()
    (archive / "m-left-out.csv").unlink()
    assert run_import(archive) == 0
    assert {path: path.stat().st_mtime_ns for path in (archive / "m-volumes").iterdir()} == volumes


def test_other_series_are_taken_by_name(archive: Path) -> None:
    assert run_import(archive, "--series", "flair") == 2  # of one patient: the manifest is there to be mended
    assert len((archive / "m.csv").read_text().splitlines()) == 1 + 2
    assert (archive / "m-left-out.csv").read_text().count("a series of another name: ") == 5


def test_a_series_that_lacks_a_slice_is_left_out(tmp_path: Path) -> None:
    for date, skip in (("20260105", -1), ("20260710", 11)):
        write_series(tmp_path / "export" / date, brain(), skip=skip, StudyDate=date, SeriesDescription="T1")
    (tmp_path / "scores.csv").write_text("PTID,EXAMDATE,MMSE\nP1,2026-01-05,28\nP1,2026-07-10,24\n")
    run_import(tmp_path)
    assert "its slices are not evenly spaced" in (tmp_path / "m-left-out.csv").read_text()


def test_an_enhanced_file_without_the_places_of_its_slices_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (SHARED_DATA / "odd").exists():
        pytest.skip("the shared data are not here")
    (tmp_path / "export").symlink_to(SHARED_DATA / "odd" / "dicom")
    (tmp_path / "scores.csv").write_text("PTID,EXAMDATE,MMSE\nP1,2026-01-05,28\n")
    assert run_import(tmp_path, "--modality", "mri") == 2
    assert "no scan has a score" in capsys.readouterr().err
