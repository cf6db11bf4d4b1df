"""Frames in mm: what was scanned besides the head moves and scales nothing."""

import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from learner_ray.core.errors import UserError
from learner_ray.core.sections import DataConfig
from learner_ray.imaging.dicom import read_dicom
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import DEFAULT, SPAN_MM, Geometry
from learner_ray.imaging.reader import read_scan
from learner_ray.imaging.volume import read_volume
from tests.imaging.make_dicom import region, write_dicom
from tests.imaging.make_scans import SHARED_DATA, person, write_nifti, write_picture

OASIS1 = SHARED_DATA / "oasis1-3d-sample"
EXTENT = Geometry(levels="extent")


def frames(tmp_path, voxels, zooms=(3.0, 3.0, 3.0), geometry=DEFAULT):
    path = write_nifti(tmp_path / "v.nii", voxels, np.diag([*zooms, 1.0]))
    return read_volume(str(path), 56, geometry).astype(float)


def difference(a, b):
    return np.abs(a - b).mean()


OTHER_FIELDS = {
    "28 mm less neck": {"below": 32.0},
    "20 mm more at the sides": {"around": (40.0, 20.0, 20.0)},
    "20 mm more in front and behind": {"around": (20.0, 40.0, 20.0)},
    "20 mm more above": {"around": (20.0, 20.0, 40.0)},
}


@pytest.mark.parametrize("field", OTHER_FIELDS)
def test_another_field_of_view_changes_less_than_a_third_of_what_another_person_does(field, tmp_path):
    usual, other = frames(tmp_path, person()), frames(tmp_path, person(**OTHER_FIELDS[field]))
    someone_else = difference(usual, frames(tmp_path, person(scale=0.93)))
    assert difference(usual, other) < someone_else / 3


@settings(max_examples=15, deadline=None)
@given(zooms=st.tuples(*[st.floats(1.5, 4.0)] * 3))
def test_voxel_sizes_change_what_a_smaller_head_does_not_hide(zooms, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("zooms")
    usual, other = frames(tmp_path, person()), frames(tmp_path, person(zooms), zooms)
    assert difference(usual, other) < difference(usual, frames(tmp_path, person(scale=0.9))) / 2


def test_levels_go_from_the_top_of_the_head_down_in_mm(tmp_path):
    voxels = np.zeros((70, 70, 100), np.float32)
    voxels[20:50, 15:55, :80] = np.arange(1, 81)  # a block whose voxels of 3 mm state how high they are
    read = frames(tmp_path, voxels, geometry=Geometry(slices=8))
    heights = np.median(read[:, 20:36, 20:36], axis=(1, 2))[:-1]  # the highest level is mixed with air
    expected = 80.5 - (np.arange(8)[:0:-1] + 0.5) * (SPAN_MM / 8 / 3)
    np.testing.assert_allclose(heights / heights[-1], expected / expected[-1], rtol=0.02)


def test_a_head_is_centred_and_has_its_size_in_mm(tmp_path):
    voxels = np.zeros((80, 90, 60), np.float32)
    voxels[40:80, 10:70, :50] = 1  # 120 x 180 mm, at the edge of the field
    lit = frames(tmp_path, voxels, geometry=Geometry(mm_per_pixel=5.0))[16] > 127
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    assert (len(columns), len(rows)) == (24, 36)
    assert abs(rows.mean() - 27.5) <= 0.5 and abs(columns.mean() - 27.5) <= 0.5


@pytest.mark.parametrize("tilt", [(0, 0, 0), (12, -7, 20)])
def test_the_axis_order_of_a_file_changes_no_bit(tilt, tmp_path):
    tilted = np.diag([3.0, 4.0, 5.0, 1.0])
    tilted[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ tilted[:3, :3]
    image = nibabel.Nifti1Image(person((3.0, 4.0, 5.0)), tilted)
    nibabel.save(image, tmp_path / "ras.nii")
    usual = read_volume(str(tmp_path / "ras.nii"), 56)
    turns = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))
    assert len(turns) == 48
    for axes, flips in turns:
        nibabel.save(image.as_reoriented(np.column_stack([axes, flips])), tmp_path / "turned.nii")
        np.testing.assert_array_equal(read_volume(str(tmp_path / "turned.nii"), 56), usual)


@pytest.mark.parametrize(("factor", "offset"), [(0.01, 0.0), (10.0, -1000.0), (1.0, 300.0)])
def test_the_scale_of_grey_values_changes_nothing(factor, offset, tmp_path):
    usual, other = frames(tmp_path, person()), frames(tmp_path, factor * person() + offset)
    assert np.abs(usual - other).max() <= 1
    assert (other[:, 0] == 0).all(), "air and what lies outside the volume are black"


def test_a_few_values_far_below_air_do_not_make_air_grey(tmp_path):
    voxels = person()
    voxels[::9, ::9, ::9] -= 500  # one in 729
    assert np.median(np.abs(frames(tmp_path, voxels) - frames(tmp_path, person()))) == 0
    assert (frames(tmp_path, voxels)[:, 0] == 0).all()


def test_what_wraps_around_above_the_head_is_not_its_top(tmp_path):
    voxels = person(around=(20.0, 20.0, 60.0))
    wrapped = voxels.copy()
    wrapped[20:40, 40:70, -6:] = 90  # 60 x 90 mm
    assert difference(frames(tmp_path, voxels), frames(tmp_path, wrapped)) < 0.1


def test_noise_in_the_air_is_not_the_top_of_the_head(tmp_path):
    rng = np.random.default_rng(0)
    quiet = person(around=(30.0, 30.0, 60.0))
    noisy = np.hypot(*(quiet * part + 6 * rng.standard_normal(quiet.shape) for part in (1, 0)))
    lit = [frames(tmp_path, voxels.astype(np.float32))[-1] > 60 for voxels in (quiet, noisy)]
    assert lit[0].any() and np.mean(lit[0] != lit[1]) < 0.02, "the highest level shows the crown"


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1000.0), ("meter", 0.001)])
def test_voxel_sizes_may_be_stated_in_another_unit(unit, factor, tmp_path):
    image = nibabel.Nifti1Image(person(), np.diag([*[3 * factor] * 3, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "v.nii")
    np.testing.assert_array_equal(
        read_volume(str(tmp_path / "v.nii"), 56), frames(tmp_path, person()).astype(np.uint8)
    )


@pytest.mark.parametrize("side", [0.003, 3000.0])
def test_without_the_size_of_a_head_slices_are_evenly_spaced(side, tmp_path):
    path = write_nifti(tmp_path / "v.nii", person(), np.diag([side, side, side, 1.0]))
    np.testing.assert_array_equal(read_volume(str(path), 56), read_volume(str(path), 56, EXTENT))
    with pytest.raises(ScanError, match=r"has no size in mm.* leave data\.mm_per_pixel out"):
        read_volume(str(path), 56, Geometry(mm_per_pixel=4.0))


def test_a_clip_of_twice_the_depth_is_shown_half_as_large_from_the_top(tmp_path):
    clip = np.full((2, 100, 80), 200, np.uint8)
    read = []
    for number, cm in enumerate((0.1, 0.2)):
        path = write_dicom(tmp_path / f"{number}.dcm", clip, regions=[region((0, 0, 79, 99), cm=cm)])
        read.append(read_dicom(str(path), 64, Geometry(mm_per_pixel=4.0))[0] > 100)
    assert [shown.any(1).sum() for shown in read] == [25, 50]
    assert [shown.any(0).sum() for shown in read] == [20, 40]
    assert all(shown[0].any() for shown in read), "the probe is at the top"
    assert (read_dicom(str(path), 64, Geometry(mm_per_pixel=1.0)) > 100).all(), "too much is cut off"


def test_a_picture_in_pixels_is_refused_where_mm_are_asked_for(tmp_path):
    with pytest.raises(ScanError, match="has no size in mm"):
        read_scan([str(write_picture(tmp_path / "p.png", seed=1))], 32, Geometry(mm_per_pixel=1.0))


def test_mm_per_pixel_goes_with_levels_in_mm():
    with pytest.raises(UserError, match=r"needs data\.levels=mm"):
        DataConfig(levels="extent", mm_per_pixel=2.0)


@pytest.mark.skipif(not OASIS1.is_dir(), reason="shared/data/oasis1-3d-sample is absent")
def test_real_volumes_keep_their_place_with_less_neck_and_more_field(tmp_path):
    def read(path: Path, change) -> np.ndarray:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        return frames(tmp_path, change(np.asarray(image.dataobj, np.float32)), (2.0, 2.0, 2.0))

    same = lambda voxels: voxels  # noqa: E731
    one, two = (OASIS1 / f"OAS1_{n}_MR1_mpr_n4_anon_sbj_111_normalised.nii.gz" for n in ("0001", "0003"))
    usual = read(one, same)
    third = difference(usual, read(two, same)) / 3
    assert difference(usual, read(one, lambda voxels: voxels[:, :, 14:])) < third
    assert difference(usual, read(one, lambda voxels: np.pad(voxels, 10))) < third
