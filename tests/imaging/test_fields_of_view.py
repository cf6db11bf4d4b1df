"""What headers say of volumes, and what a check says of visits that differ."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from learner_ray.cli.cohort import main
from learner_ray.imaging.fields_of_view import FieldOfView, describe, fields_of_view, note_differences
from tests.imaging.make_scans import cohort_of, write_nifti


def volume(path: Path, zooms=(2.0, 2.0, 2.0), shape=(90, 100, 80), axes: str = "RAS") -> Path:
    voxels = np.random.default_rng(len(path.name)).integers(1, 200, shape).astype(np.int16)
    image = nibabel.Nifti1Image(voxels, np.diag([*zooms, 1.0]))
    stored = nibabel.orientations.axcodes2ornt(axes)
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), stored)
    nibabel.save(image.as_reoriented(turn), path)
    return path


def test_the_order_of_axes_is_told_and_does_not_change_the_field(tmp_path):
    orders = ("RAS", "PIR", "ASL")
    files = {axes: [volume(tmp_path / f"{axes}.nii.gz", (1, 2, 3), axes=axes)] for axes in orders}
    found = fields_of_view(cohort_of(files))
    assert {(field.shape, field.zooms) for field in found.values()} == {((90, 100, 80), (1.0, 2.0, 3.0))}
    said = "volumes: 1 with voxels 1 x 2 x 3 mm, field 90 x 200 x 240 mm, stored {}"
    assert sorted(describe(found)) == sorted(said.format(axes) for axes in orders)


def test_slices_and_files_that_cannot_be_read_have_no_field(tmp_path):
    (tmp_path / "text.nii").write_text("no volume")
    files = {
        "text": [tmp_path / "text.nii"],
        "slice": [write_nifti(tmp_path / "s.nii", np.ones((9, 9, 1), "i2"))],
    }
    assert fields_of_view(cohort_of({**files, "none": [tmp_path / "none.nii"]})) == {}


@pytest.mark.parametrize(("factor", "differs"), [(1.09, False), (1.11, True)])
def test_voxels_and_slabs_count_from_ten_per_cent_on(factor, differs):
    usual = FieldOfView((90, 100, 80), (2.0, 2.0, 2.0), "RAS")
    thicker = FieldOfView((90, 100, 80), (2.0, 2.0, 2.0 * factor), "RAS")
    taller = FieldOfView((90, 100, round(80 * factor)), (2.0, 2.0, 2.0), "LPS")
    for other in (thicker, taller):
        assert (usual.differs(other) > 1.1) == (other.differs(usual) > 1.1) == differs


def test_a_volume_that_is_no_head_in_mm_is_named(tmp_path):
    files = {
        "head": [volume(tmp_path / "h.nii")],
        "metres": [volume(tmp_path / "m.nii", (0.002, 0.002, 0.002))],
    }
    cohort = cohort_of(files)
    notes = note_differences(cohort, fields_of_view(cohort))
    assert list(notes.values()) == [["metres"]] and "slices are evenly spaced" in next(iter(notes))


def test_check_prints_fields_and_warns_of_a_patient_whose_visits_differ(tmp_path, capsys):
    lines = ["path,patient,visit,score"]
    for patient in range(12):
        for visit, score in ((1, 25), (2, (22, 25, 28)[patient % 3])):
            changed = (patient, visit) == (3, 2)
            path = volume(
                tmp_path / f"p{patient}-{visit:0{patient + 1}}.nii", (1, 1, 2.5) if changed else (2, 2, 2)
            )
            lines.append(f"{path.name},p{patient},{visit},{score}")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    assert (
        main(["check", str(tmp_path / "m.csv"), "--modality", "mri", "--folds", "2", "--allow-duplicates"])
        == 0
    )
    said = capsys.readouterr().out
    assert "volumes: 23 with voxels 2 x 2 x 2 mm, field 180 x 200 x 160 mm, stored RAS" in said
    assert (
        "warning: 1 patient has visits whose voxels or fields of view differ by more than 10 %:\n  p3-"
        in said
    )
    assert "voxels 1 x 1 x 2.5 mm, field 90 x 100 x 200 mm" in said
