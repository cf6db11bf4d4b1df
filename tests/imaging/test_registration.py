"""Later volumes lie on the patient's first one, whatever they lay like."""

import csv
import shutil
import sys

import nibabel
import numpy as np
import pytest
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from learner_ray.cli.main import main
from learner_ray.imaging.phantoms.mri import SPACING_MM, mri_volume
from learner_ray.imaging.registration import register
from learner_ray.imaging.volume import read_volume
from tests.imaging.make_scans import SHARED_DATA, write_nifti

VOLUME = SHARED_DATA / "oasis1-3d-sample" / "OAS1_0001_MR1_mpr_n4_anon_sbj_111_normalised.nii.gz"


def turned(voxels, degrees, mm, side):
    """A volume with more field, whose content was turned about its three axes and moved."""
    wide = np.pad(voxels, round(25 / side))
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    middle = (np.array(wide.shape) - 1) / 2
    return affine_transform(wide, turn, offset=middle - turn @ (middle + np.array(mm) / side), order=3)


def apart(a, b):
    """Mean difference of the frames of two files, in grey levels."""
    one, two = (read_volume(str(path), 56).astype(float) for path in (a, b))
    return np.abs(one - two).mean()


@pytest.fixture
def visits(tmp_path):
    """Files of two visits: a head, and the same one turned and moved."""
    pytest.importorskip("SimpleITK")
    drawn = mri_volume(np.random.default_rng(0), np.random.default_rng(1), 0.2)
    head = np.pad(drawn, 6).astype(np.float32)  # it fills its field to the top
    affine = np.diag([*[SPACING_MM] * 3, 1.0])
    later = turned(head, (8, -4, 10), (10, -6, 5), SPACING_MM)
    return write_nifti(tmp_path / "a.nii", head, affine), write_nifti(tmp_path / "b.nii", later, affine)


@pytest.mark.long
def test_what_was_turned_and_moved_lies_on_the_first_visit(visits, tmp_path):
    outs = [tmp_path / "one.nii.gz", tmp_path / "two.nii.gz"]
    for out in outs:
        register([str(visits[0])], [str(visits[1])], out)
    first, one, two = (nibabel.load(path) for path in (visits[0], *outs))
    np.testing.assert_array_equal(one.affine, first.affine)
    np.testing.assert_array_equal(one.get_fdata(), two.get_fdata(), "the same files give the same bits")
    assert apart(visits[0], outs[0]) < apart(*visits) / 4
    assert not list(tmp_path.glob(".*")), "nothing half written is left"


@pytest.mark.long
def test_a_volume_of_another_format_is_registered_as_its_nifti_is(visits, tmp_path):
    moving = nibabel.load(visits[1])
    nibabel.save(nibabel.MGHImage(np.asarray(moving.dataobj), moving.affine), tmp_path / "b.mgz")
    outs = {tmp_path / "one.nii.gz": visits[1], tmp_path / "two.nii.gz": tmp_path / "b.mgz"}
    for out, path in outs.items():
        register([str(visits[0])], [str(path)], out)
    one, two = (nibabel.load(out).get_fdata() for out in outs)
    np.testing.assert_array_equal(one, two)


@pytest.mark.long
def test_an_import_lists_registered_files_and_leaves_the_first_visit_as_it_is(visits, tmp_path, capsys):
    lines = ["path,patient,visit,MMSE"]
    for patient in "PQ":
        for visit, path in enumerate(visits, start=1):
            copied = shutil.copy(path, tmp_path / f"{patient}{visit}.nii")
            lines.append(f"{copied},{patient},{visit},{20 + visit}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "made" / "manifest.csv"
    command = ["import", str(tmp_path / "table.csv"), "--score", "MMSE", "--modality", "mri"]
    assert main([*command, "--out", str(out), "--register"]) == 0
    assert "registered: 2 volumes, in manifest-registered" in capsys.readouterr().out
    with open(out, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        assert row["path"].startswith("manifest-registered/") == (row["visit"] == "2")
        assert apart(visits[0], out.parent / row["path"]) < apart(*visits) / 4


def test_an_import_that_cannot_register_leaves_no_manifest_that_looks_registered(tmp_path, capsys):
    pytest.importorskip("SimpleITK")
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.nii").write_bytes(b"damaged")
    lines = ["path,patient,visit,MMSE", "a.nii,P,1,29", "b.nii,P,2,25", "c.nii,Q,1,28"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "made" / "manifest.csv"
    command = ["import", str(tmp_path / "table.csv"), "--score", "MMSE", "--modality", "mri", "--register"]
    assert main([*command, "--out", str(out)]) == 2
    assert "b.nii cannot be registered to" in capsys.readouterr().err and not out.exists()
    assert main([*command, "--out", str(out)]) == 2
    assert "manifest-unregistered.csv exists: name another file" in capsys.readouterr().err


def test_crops_of_volumes_that_move_are_refused(tmp_path, capsys):
    pytest.importorskip("SimpleITK")
    (tmp_path / "a.nii").write_bytes(b"a")
    (tmp_path / "table.csv").write_text('path,patient,visit,MMSE,crop\na.nii,P,1,29,"0,0,9,9"\n')
    command = ["import", str(tmp_path / "table.csv"), "--score", "MMSE", "--modality", "mri", "--register"]
    assert main([*command, "--out", str(tmp_path / "made" / "manifest.csv")]) == 2
    assert "away from their crops and masks" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_without_the_package_nothing_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    (tmp_path / "table.csv").write_text("path,patient,visit,MMSE\na.nii,P,1,29\n")
    out = tmp_path / "manifest.csv"
    command = ["import", str(tmp_path / "table.csv"), "--score", "MMSE", "--out", str(out)]
    assert main([*command, "--register"]) == 2
    assert "pip install 'learner-ray[register]'" in capsys.readouterr().err and not out.exists()


@pytest.mark.long
@pytest.mark.skipif(not VOLUME.is_file(), reason="shared/data/oasis1-3d-sample is absent")
def test_a_real_volume_finds_back(tmp_path):
    pytest.importorskip("SimpleITK")
    voxels = np.asarray(nibabel.as_closest_canonical(nibabel.load(VOLUME)).dataobj, np.float32)
    moved = turned(voxels, (5, -3, 8), (6, -4, 8), 2.0)
    path, out = write_nifti(tmp_path / "m.nii", moved, np.diag([2.0, 2.0, 2.0, 1.0])), tmp_path / "o.nii.gz"
    register([str(VOLUME)], [str(path)], out)
    assert apart(VOLUME, path) > 10 and apart(VOLUME, out) < 3
