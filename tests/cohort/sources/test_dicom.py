"""``learner-ray import dicom``: from an archive's export to a manifest."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from learner_ray.cli.import_cohort import main
from learner_ray.cohort import load

pytest.importorskip("pydicom", reason="needs the extra [dicom]")
from learner_ray.cohort.sources.dicom import Dicom
from learner_ray.cohort.sources.importer import ImportOptions
from learner_ray.imaging.reader import read_scan
from tests.cohort.sources.make_hospital import VISITS, write_hospital
from tests.imaging.make_dicom import RADIOGRAPH, STILL, moving_screen, write_dicom


@pytest.fixture
def hospital(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The export, with a table of scores beside it, and why each file is no scan."""
    meant = write_hospital(tmp_path / "export")
    lines = ["patient,date,SF"]
    for patient, dates in VISITS.items():
        for number, date in enumerate(dates):
            lines.append(f"MRN-{patient},{date.replace('.', '')},{300 + 40 * number}")
            lines.append(f"S{patient},{date.replace('.', '')},{300 + 40 * number}")
    (tmp_path / "scores.csv").write_text("\n".join(lines) + "\n")
    return tmp_path, meant


def run_import(folder: Path, *options: str) -> int:
    scores = ["--scores", str(folder / "scores.csv"), "--score", "S/F ratio", "--columns", "score=SF"]
    return main(["dicom", str(folder / "export"), *scores, "--out", str(folder / "m.csv"), *options])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


CHOICE = ("--modality", "lus")


def test_every_file_is_a_scan_or_left_out_with_the_reason(
    hospital: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, meant = hospital
    assert run_import(folder, *CHOICE) == 0
    said = capsys.readouterr().out
    taken = {row["path"].removeprefix("export/") for row in rows(folder / "m.csv")}
    left = {
        str(Path(row["path"]).relative_to(folder / "export")): row["reason"]
        for row in rows(folder / "m-left-out.csv")
        if row["path"].startswith(str(folder / "export"))
    }
    # Of two copies the first by name is taken.
    assert "a copy" in left.pop("DICOM/SA/ST0/IM0")
    expected = {**meant, "DICOM/SA/ST0/COPY": ""}
    del expected["DICOM/SA/ST0/IM0"]
    assert taken == {path for path, reason in expected.items() if not reason}
    reasons = {path: reason for path, reason in expected.items() if reason}
    assert left.keys() == reasons.keys()
    assert [(path, left[path]) for path, reason in reasons.items() if reason not in left[path]] == []
    assert "2 files are not DICOM" in said
    assert "14 clips are taken" in said
    assert load(folder / "m.csv", modality="lus").summary()["visits"] == 7


def test_patients_and_views_come_from_where_the_user_says(hospital: tuple[Path, dict[str, str]]) -> None:
    folder, _ = hospital
    assert (
        run_import(folder, *CHOICE, "--patient-from", "DICOM/(S[A-Z])/", "--view-from", r"lung (\w\d)") == 0
    )
    found = rows(folder / "m.csv")
    assert Counter(row["patient"] for row in found) == {"SA": 6, "SB": 6, "SC": 4, "SD": 4}
    assert Counter(row["view"] for row in found) == {"L1": 10, "R2": 10}
    assert {row["device"] for row in found} == {"Maker One"}
    assert len({row["site"] for row in found}) == 1
    assert "Elsewhere" not in (folder / "m.csv").read_text()
    # 1994.11.05 comes first.
    assert [row["day"] for row in found if row["patient"] == "SA"] == [
        "11024",
        "11024",
        "0",
        "0",
        "11056",
        "11056",
    ]


def test_paths_that_tell_patients_apart_otherwise_than_tags_are_noted(
    hospital: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = hospital
    run_import(folder, *CHOICE, "--patient-from", "DICOM/(S[A-Z]/ST[01])/")
    assert "3 PatientIDs belong to several patients by --patient-from" in capsys.readouterr().out
    run_import(folder, *CHOICE, "--patient-from", "folder", "--dry-run")
    assert "1 patients by --patient-from or --patients have several PatientIDs" in capsys.readouterr().out


def test_the_list_of_what_was_left_out_can_be_filled_in_and_given_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file without PatientID, and a folder with pseudonyms, get their patients from a table."""
    for name, patient in (("A/IM1", "P1"), ("A/IM2", ""), ("B/IM3", "x7"), ("B/IM4", "x7")):
        (tmp_path / "export" / name).parent.mkdir(parents=True, exist_ok=True)
        date = f"2025010{name[-1]}"
        write_dicom(tmp_path / "export" / name, moving_screen(), PatientID=patient, StudyDate=date)
    scores = [f"P{1 + day // 3},2025010{day},{300 + day}" for day in range(1, 5)]
    (tmp_path / "scores.csv").write_text("\n".join(["patient,date,SF", *scores]) + "\n")
    run_import(tmp_path)
    left = {row["path"][-3:]: row for row in rows(tmp_path / "m-left-out.csv")}
    assert "give it as --patients" in left["IM2"]["reason"]
    table = tmp_path / "ids.csv"
    table.write_text(f"path,patient,reason\n{left['IM2']['path']},P1,was empty\nB,P2,pseudonyms\n")
    run_import(tmp_path, "--patients", str(table), "--out", str(tmp_path / "n.csv"))
    found = {row["path"][-3:]: row["patient"] for row in rows(tmp_path / "n.csv")}
    assert found == {"IM1": "P1", "IM2": "P1", "IM3": "P2", "IM4": "P2"}
    table.write_text("path,patient\nC/IM9,P1\n")
    capsys.readouterr()
    assert run_import(tmp_path, "--patients", str(table), "--dry-run") == 2
    assert "row 2: path 'C/IM9' names no file or folder below" in capsys.readouterr().err


def test_all_that_is_imported_can_be_read_and_looks_the_same(hospital: tuple[Path, dict[str, str]]) -> None:
    folder, _ = hospital
    run_import(folder, *CHOICE)
    for row in rows(folder / "m.csv"):
        frames = read_scan([str(folder / row["path"])], 80)
        left = 40 if row["path"].endswith(("IM0", "COPY")) and "/SC/" not in row["path"] else 0
        cut = moving_screen()[:, 30:100, 40:120]
        if not left:
            assert np.abs(frames[:, 5:75].astype(int) - cut).max() <= 1
        else:  # the larger of two regions, enlarged
            assert frames.any(axis=(1, 2)).all()


WRONG = {
    (): "holds ultrasound (31) and radiograph (1): choose with --modality lus or --modality xray",
    ("--modality", "mri"): "holds no DICOM file of mr",
    (*CHOICE, "--patient-from", "P("): "--patient-from 'P(' is no regular expression",
    (*CHOICE, "--patient-from", "P"): "has no group: put brackets around what counts",
}


@pytest.mark.parametrize("options", WRONG)
def test_what_is_wrong_is_said_before_anything_is_written(
    options: tuple[str, ...], hospital: tuple[Path, dict[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = hospital
    assert run_import(folder, *options) == 2
    assert WRONG[options] in capsys.readouterr().err
    assert not (folder / "m.csv").exists()


def test_without_clips_stills_are_taken_and_radiographs_need_no_choice(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "scores.csv").write_text("patient,date,SF\nP1,2026-01-02,300\n")
    options = ImportOptions(scores=tmp_path / "scores.csv", score="SF")
    for kind, modality in ((STILL, "lus"), (RADIOGRAPH, "xray")):
        path = write_dicom(tmp_path / "export" / "IM1", moving_screen(1), sop_class=kind)
        found = Dicom().find(tmp_path / "export", options, lambda count, what: None)
        assert [scan.path for scan in found.scans] == [path]
        assert found.modality == modality and found.scans[0].patient == "P1"


@pytest.mark.parametrize("magic", [True, False])
def test_a_folder_is_known_as_dicom_by_its_content(magic: bool, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("no image")
    assert Dicom().evidence(tmp_path) is None
    write_dicom(tmp_path / "b", moving_screen(1), magic=magic)
    evidence = Dicom().evidence(tmp_path)
    assert evidence is not None
    assert evidence.because == "b is DICOM"


def test_without_pydicom_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "export").mkdir()
    write_dicom(tmp_path / "export" / "b", moving_screen(1))
    (tmp_path / "scores.csv").write_text("patient,date,SF\nP1,2026-01-02,300\n")
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    assert run_import(tmp_path) == 2
    assert (
        "b is DICOM, which needs the package pydicom; pip install 'learner-ray[dicom]'"
        in capsys.readouterr().err
    )
