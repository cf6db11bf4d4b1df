"""What ``cohort check`` passes a sweep passes, and what it refuses a sweep refuses with the same words."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from learner_ray.cli.cohort import main as cohort_command
from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import gate
from learner_ray.imaging.errors import BadScan, unreadable
from learner_ray.sweep import main as sweep_command
from tests.imaging.make_scans import cohort_of, head, numbered_frames, write_listed, write_nifti, write_video
from tests.small_sweep import SMALL

FOLDS = ["--folds", "2"]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """The manifest of 32 pictures of eight patients, in a folder of its own."""
    return write_listed(tmp_path / "scans")


def check(manifest: Path, *options: str) -> int:
    out = str(manifest.parent.parent)
    return cohort_command(["check", str(manifest), "--modality", "lus", "--out", out, *FOLDS, *options])


def sweep(manifest: Path, *options: str) -> int:
    out = manifest.parent.parent / "results" / "lus"
    sizes = ["--profile", "laptop", "--set", "data.image_size=32", "--plan"]
    return sweep_command(["lus", "--data", str(manifest), "--out", str(out), *sizes, *FOLDS, *options])


def renamed(manifest: Path, old: str, new: str) -> None:
    (manifest.parent / old).rename(manifest.parent / new)
    manifest.write_text(manifest.read_text().replace(f"{old},", f"{new},"))


def garbage(manifest: Path) -> None:
    (manifest.parent / "p2-1.png").write_bytes(b"no picture at all" * 20)


def empty_clip(manifest: Path) -> None:
    renamed(manifest, "p2-1.png", "p2-1.mp4")
    (manifest.parent / "p2-1.mp4").write_bytes(b"")


def half_a_volume_header(manifest: Path) -> None:
    renamed(manifest, "p2-1.png", "p2-1.nii.gz")
    (manifest.parent / "p2-1.nii.gz").write_bytes(b"\x1f\x8b" + bytes(100))


def dicom_by_another_name(manifest: Path) -> None:
    renamed(manifest, "p2-1.png", "p2-1.mp4")
    (manifest.parent / "p2-1.mp4").write_bytes(bytes(128) + b"DICM" + bytes(2000))


def dicom(manifest: Path) -> None:
    dicom_by_another_name(manifest)
    renamed(manifest, "p2-1.mp4", "p2-1.dcm")


def one_class(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace(",350", ",300"))


def copied(manifest: Path) -> None:
    shutil.copyfile(manifest.parent / "p1-1.png", manifest.parent / "p4-3.png")


def linked(manifest: Path) -> None:
    (manifest.parent / "p4-3.png").unlink()
    os.link(manifest.parent / "p1-1.png", manifest.parent / "p4-3.png")


def copied_within_a_patient(manifest: Path) -> None:
    shutil.copyfile(manifest.parent / "p4-1.png", manifest.parent / "p4-3.png")


FAULTS: dict[Callable[[Path], None], list[str]] = {
    garbage: ["row 10: ", "p2-1.png cannot be read as a picture (its format is not known"],
    empty_clip: ["row 10: ", "p2-1.mp4 is empty"],
    half_a_volume_header: ["row 10: ", "p2-1.nii.gz cannot be read as NIfTI"],
    dicom_by_another_name: ["row 10: ", "p2-1.mp4 is a DICOM file with another suffix; rename it to .dcm"],
    dicom: ["row 10: ", "p2-1.dcm cannot be read as DICOM (it does not state its SOP Class UID)"],
    one_class: ["class 'worse' is absent"],
    copied: ["row 20: p4-3.png has the content of p1-1.png in row 6, of another patient"],
    linked: ["row 20: p4-3.png has the content of p1-1.png in row 6, of another patient"],
    copied_within_a_patient: ["row 20: p4-3.png has the content of p4-1.png in row 18, of the same patient"],
}


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_check_and_the_sweep_refuse_the_same_with_the_same_words(
    spoil: Callable[[Path], None], listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(listed)
    assert check(listed) == 2
    said = capsys.readouterr().err
    assert [word for word in FAULTS[spoil] if word not in said] == []
    for ask in (lambda: check(listed, "--decode"), lambda: sweep(listed)):
        assert ask() == 2
        assert capsys.readouterr().err == said


def test_a_good_cohort_passes_and_its_counts_are_printed(
    listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ([], ["--decode"]):
        assert check(listed, *options) == 0
        printed = capsys.readouterr().out
        assert "32 scans, 32 visits, 8 patients" in printed and "better     8 pairs in 8 patients" in printed
        assert "scans are" not in printed


def test_dicom_that_may_show_names_is_warned_of(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom", reason="needs the extra [dicom]")
    from tests.imaging.make_dicom import STILL, write_dicom

    pixels = np.random.default_rng(0).integers(0, 255, (3, 1, 48, 48), dtype=np.uint8)
    for patient, said in enumerate((None, "YES", "NO")):
        renamed(listed, f"p{patient}-1.png", f"p{patient}-1.dcm")
        tags = {"BurnedInAnnotation": said} if said else {}
        write_dicom(listed.parent / f"p{patient}-1.dcm", pixels[patient], sop_class=STILL, **tags)
    for options in ([], ["--decode"]):
        assert check(listed, *options) == 0
        printed = capsys.readouterr().out
        warning = printed[printed.index("2 scans may show names or dates") :].splitlines()
        assert ["p0-1" in warning[1], "p1-1" in warning[2], "p2-1" in printed] == [True, True, False]


def test_copies_that_are_meant_are_let_pass_and_told(
    listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(listed)
    for options in ([], ["--decode"]):
        assert check(listed, "--allow-duplicates", *options) == 0
        printed = capsys.readouterr().out
        assert "warning: 1 file has the same content as another (--allow-duplicates):\n" in printed
        assert "row 20" in printed and "row 6" in printed


def test_planes_of_one_scan_are_one_scan_but_none_of_them_twice(tmp_path: Path) -> None:
    planes = [write_nifti(tmp_path / f"{name}.nii", head()[:, :, z]) for name, z in (("a", 20), ("b", 25))]
    third = write_nifti(tmp_path / "c.nii", head()[:, :, 22])
    assert gate.decode(cohort_of({"s": planes, "t": [third]}), PixelSettings(32)).duplicates == []
    shutil.copyfile(planes[0], third)
    for files in ({"s": [*planes, third]}, {"s": [planes[0], *planes]}, {"s": planes, "t": [third]}):
        with pytest.raises(UserError, match=r"a\.nii of s in row 2, of"):
            gate.decode(cohort_of(files), PixelSettings(32))


def test_with_few_scans_bad_the_others_may_be_used(listed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    garbage(listed)
    cohort = load(listed, modality="lus")
    assert gate.inspect(cohort, folds=[2], skip_bad=True) == []
    for picture in listed.parent.glob("*.png"):
        picture.write_bytes(b"none")
    with pytest.raises(UserError, match="no scan is left"):
        gate.inspect(cohort, folds=[2], skip_bad=True)


def test_one_of_the_profiles_numbers_of_folds_is_enough(listed: Path) -> None:
    cohort = load(listed, modality="lus")
    (complaint,) = gate.inspect(cohort, folds=[2, 100])
    assert complaint.startswith("100 folds are not possible: ")
    with pytest.raises(UserError, match=r"use fewer folds.*; \d folds are possible: --folds \d"):
        gate.inspect(cohort, folds=[100])


def test_many_bad_scans_fit_a_screen_and_are_all_in_a_file(
    listed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for picture in listed.parent.glob("*.png"):
        picture.write_bytes(b"no picture")
    (listed.parent / "p7-4.png").write_bytes(b"")
    for ask, file in (
        (check, tmp_path / "manifest-faults.txt"),
        (sweep, tmp_path / "results/lus-faults.txt"),
    ):
        assert ask(listed) == 2
        said = capsys.readouterr().err.splitlines()
        assert said[0] == "error: 32 of 32 scans cannot be read:" and len(said) == 1 + 21 + 1 + 2
        assert said[21:23] == [
            "  and 11 more of this kind",
            f"  {listed}, row 33: {said[22].split()[-3]} is empty",
        ]
        assert said[-1] == f"all of them are listed in {file}"
        assert file.read_text().count("cannot be read as a picture") == 31


def test_two_thousand_bad_scans_are_few_lines_whatever_their_numbers_and_details() -> None:
    bad = [
        BadScan(
            scan=str(n), source="m.csv", row=n, path=f"{n}.mp4", reason=f"announces {n} frames (of {n}); so"
        )
        for n in range(2000)
    ]
    assert len(str(unreadable(bad, 0)).splitlines()) == 1 + 20 + 1 + 1


def test_what_is_no_picture_of_anything_is_told_once_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black, grey, mask = (np.full((60, 90), value, np.uint8) for value in (0, 130, 0))
    mask[20:40, 30:70] = 255
    for name, pixels in (("black", black), ("grey", grey), ("mask", mask)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 96), dtype=np.uint8)
    rng = np.random.default_rng(1)
    scans = {
        "black.png": tmp_path / "black.png",
        "grey.png": tmp_path / "grey.png",
        "mask.png": tmp_path / "mask.png",
        "black.mp4": write_video(tmp_path / "black.mp4", np.zeros((8, 64, 96), np.uint8)),
        "grey.mp4": write_video(tmp_path / "grey.mp4", np.full((8, 64, 96), 90, np.uint8)),
        "frozen.mp4": write_video(tmp_path / "frozen.mp4", np.repeat(noise[None], 8, 0)),
        "mask.mp4": write_video(tmp_path / "mask.mp4", numbered_frames(8)),
        "constant.nii": write_nifti(tmp_path / "constant.nii", np.full((20, 30, 9), 7, np.int16)),
        "mask.nii.gz": write_nifti(tmp_path / "mask.nii.gz", (head() > 0).astype(np.uint8)),
        "clip.mp4": write_video(tmp_path / "clip.mp4", rng.integers(0, 255, (8, 64, 96), dtype=np.uint8)),
        "head.nii.gz": write_nifti(tmp_path / "head.nii.gz", head() * rng.uniform(0.8, 1.2, head().shape)),
    }
    decoded = gate.decode(cohort_of({scan: [path] for scan, path in scans.items()}), PixelSettings(48))
    assert decoded.oddities == {
        "3 scans are black": ["black.mp4", "black.png", "constant.nii"],
        "2 scans are of one grey value": ["grey.mp4", "grey.png"],
        "1 scan is the same in every frame": ["frozen.mp4"],
        "3 scans are of a few grey values only, as a mask is": ["mask.mp4", "mask.nii.gz", "mask.png"],
        "3 volumes do not have the size of a head in mm, so that slices are evenly spaced": [
            "constant.nii",
            "head.nii.gz",
            "mask.nii.gz",
        ],
    }
    assert gate.warnings(decoded.oddities)[:2] == ["warning: 3 scans are black:", "  black.mp4"]
    assert not decoded.cache.bad


@pytest.mark.long
@pytest.mark.ray
@pytest.mark.usefixtures("formula_runs")
def test_what_a_sweep_let_pass_is_told_and_stands_in_the_study(
    listed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied(listed)
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(listed.parent / "p7-4.png")
    (listed.parent / "p7-3.png").write_bytes(b"no picture")
    out = listed.parent.parent / "results" / "lus"
    options = [*SMALL, "--arms", "majority", "--skip-bad", "--allow-duplicates"]
    assert sweep_command(["lus", "--data", str(listed), "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    assert "warning: 1 scan is black:\n  p7-4.png" in printed and "row 20: p4-3.png has the" in printed
    study = json.loads((out / "study.json").read_text())
    assert study["allow_duplicates"] is True
    left_out, *kept = study["left_out"]
    assert left_out == "row 32: cannot be read as a picture", "which names no file"
    assert "1 scan cannot be read and is left out:" in printed and "p7-3.png cannot be read" in printed
    flow = study["flow"]
    assert flow["unreadable"] == {"cannot be read as a picture": 1} and flow["left_out"] == {}
    assert flow["listed"]["scans"] == flow["readable"]["scans"] + 1 == study["cohort"]["scans"]
    assert flow["pairs"] == study["cohort"]["pairs"] - 2, "the third visit of four was in two pairs"
    assert [note.partition(" (")[0] for note in kept] == [
        "1 scan is black",
        "1 file has the same content as another",
    ]
    assert json.loads((out / "content.json").read_text())["scans"]["p7-4.png"]["look"] == "black"
