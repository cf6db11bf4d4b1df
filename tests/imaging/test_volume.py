import gzip

import nibabel
import numpy as np
import pytest

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.raster import BACKGROUND
from learner_ray.imaging.volume import _with_dark_background, read_volume
from tests.imaging.make_scans import SHARED_DATA, head, person, write_nifti

EXTENT = Geometry(levels="extent", slices=16)
OASIS1 = SHARED_DATA / "oasis1-3d-sample"
OASIS2 = SHARED_DATA / "oasis2-midslices"


def test_volume_gives_the_slices_asked_for(tmp_path):
    read = read_volume(str(write_nifti(tmp_path / "v.nii.gz", head())), 64, geometry=Geometry(slices=12))
    assert read.shape == (12, 64, 64) and read.dtype == np.uint8


def test_slices_span_the_head_and_nothing_else(tmp_path):
    voxels = np.zeros((40, 48, 120), np.float32)
    voxels[:, :, 60:104] = head()
    read = read_volume(str(write_nifti(tmp_path / "v.nii.gz", voxels)), 64, EXTENT)
    alone = read_volume(str(write_nifti(tmp_path / "alone.nii.gz", head())), 64, EXTENT)
    assert (read.reshape(16, -1).max(1) > 100).all()
    assert np.abs(read.astype(int) - alone).mean() < 2


def test_front_is_up_right_is_right_and_slices_rise(tmp_path):
    read = read_volume(str(write_nifti(tmp_path / "v.nii.gz", head())), 64, EXTENT).astype(float)
    assert read[8, 20, 32] > read[8, 44, 32], "front above"
    assert read[8, 32, 40] > read[8, 32, 24], "right on the right"
    assert read[12, 32, 32] > read[4, 32, 32], "upwards"


@pytest.mark.parametrize("axes", ["LPS", "PIR", "ASL"])
def test_storage_order_does_not_matter(tmp_path, axes):
    image = nibabel.Nifti1Image(head(), np.eye(4))
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(axes)
    )
    nibabel.save(image, tmp_path / "ras.nii")
    nibabel.save(image.as_reoriented(turn), tmp_path / "turned.nii")
    np.testing.assert_array_equal(
        read_volume(str(tmp_path / "turned.nii"), 48), read_volume(str(tmp_path / "ras.nii"), 48)
    )


def test_voxel_size_gives_the_aspect_ratio(tmp_path):
    path = write_nifti(tmp_path / "v.nii", np.full((40, 40, 4), 9, np.int16), np.diag([1.0, 2.0, 5.0, 1.0]))
    image = nibabel.load(path).get_fdata()
    image[0, 0] = 0  # not the same value everywhere
    columns = read_volume(str(write_nifti(path, image, np.diag([1.0, 2.0, 5.0, 1.0]))), 80)[2].max(0) > 0
    assert columns.sum() == 40 and columns[20:60].all()


def test_grey_is_clipped_to_percentiles(tmp_path):
    voxels = np.random.default_rng(0).uniform(0, 1, (64, 64, 1)).astype(np.float32)
    voxels[0, 0], voxels[1, 1] = 1e6, np.nan
    read = read_volume(str(write_nifti(tmp_path / "v.nii", voxels)), 64)
    assert read.shape == (1, 64, 64)
    assert 110 < read.mean() < 145 and read.min() == 0 and read.max() == 255


@pytest.mark.skipif(not OASIS1.is_dir(), reason="shared/data/oasis1-3d-sample is absent")
def test_real_volumes():
    for path in sorted(OASIS1.glob("*.nii.gz"))[:3]:
        read = read_volume(str(path), 64)
        assert read.shape == (32, 64, 64)
        assert (read[2:-2] > 50).mean((1, 2)).min() > 0.02, "no slice but the outermost is nearly empty"
        assert (read[:, 0] == 0).all(), "the box around the brain is black"


@pytest.mark.skipif(not OASIS2.is_dir(), reason="shared/data/oasis2-midslices is absent")
@pytest.mark.parametrize("plane", ["axl", "cor", "sag"])
def test_real_slices(plane):
    for path in sorted((OASIS2 / plane).glob("*.nii.gz"))[:5]:
        read = read_volume(str(path), 64)
        assert read.shape == (1, 64, 64)
        assert read[0, :, 0].max() < 30 and read[0, 24:40, 24:40].mean() > 40


def test_damaged_files_are_refused(tmp_path):
    whole = write_nifti(tmp_path / "v.nii.gz", head()).read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 50] = bytes(50)
    plain = gzip.decompress(whole)
    contents = {
        "empty.nii.gz": b"",
        "half.nii.gz": whole[: len(whole) // 2],
        "damaged.nii.gz": bytes(damaged),
        "text.nii": b"patient,score\n" * 100,
        "half.nii": plain[: len(plain) // 2],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ScanError, match=f"{name}: cannot be read as NIfTI"):
            read_volume(str(tmp_path / name), 32)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (np.zeros((8, 8, 8, 5), np.int16), "holds several volumes"),
        (np.zeros((8, 8, 1, 5), np.int16), "holds several volumes"),
        (np.zeros((8, 8, 8), [("R", "u1"), ("G", "u1"), ("B", "u1")]), "expected one grey image"),
    ],
)
def test_what_is_no_grey_image_is_refused(tmp_path, voxels, reason):
    path = write_nifti(tmp_path / "v.nii", voxels)
    with pytest.raises(ScanError, match=reason):
        read_volume(str(path), 32)


@pytest.mark.parametrize("value", [3, 0, np.nan, 3.3, 1e30])
def test_a_volume_of_one_value_is_black(tmp_path, value):
    path = write_nifti(tmp_path / "v.nii", np.full((97, 61, 9), value, np.float32))
    read = read_volume(str(path), 64)
    assert read.shape == (32, 64, 64) and not read.any()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_header_that_announces_more_than_the_file_can_hold_is_not_believed(tmp_path, suffix):
    image = nibabel.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4))
    content = bytearray(image.to_bytes())
    content[42:48] = np.full(3, 30_000, "<i2").tobytes()  # lengths of the three axes
    (tmp_path / f"v{suffix}").write_bytes(gzip.compress(content) if suffix == ".nii.gz" else content)
    with pytest.raises(ScanError, match="announces 54000000000000 bytes"):
        read_volume(str(tmp_path / f"v{suffix}"), 32)


def scaled_to_mean_0(voxels: np.ndarray, inside: np.ndarray, outside: float) -> np.ndarray:
    """Voxels of a brain with a mean of 0 and a standard deviation of 1, and one value elsewhere."""
    scores = (voxels - voxels[inside].mean()) / voxels[inside].std()
    return np.where(inside, scores, outside).astype(np.float32)


@pytest.mark.parametrize("outside", [0.0, np.nan, -9.0, None])
def test_a_volume_with_a_mean_of_0_is_as_dark_outside_as_the_one_before(tmp_path, outside):
    """Two visits that were scaled so differ as they did; scaling with air (None) changes nothing either."""
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    for levels in (Geometry(), EXTENT):
        pairs = []
        for name, brightness in (("first", 4), ("second", 6)):
            voxels = person(below=0) + np.random.default_rng(brightness).normal(0, 2, person(below=0).shape)
            inside = person(below=0) > 0
            voxels = np.where(inside, brightness * voxels, 0).astype(np.float32)
            one = inside if outside is not None else np.ones_like(inside)
            scores = scaled_to_mean_0(voxels, one, 0.0 if outside is None else outside)
            files = [
                write_nifti(tmp_path / f"{name}-{n}.nii", v, affine) for n, v in enumerate((voxels, scores))
            ]
            before, after = (read_volume(str(file), 56, levels).astype(int) for file in files)
            assert (after[before == 0] <= BACKGROUND).all(), "background is black"
            tissue = before > 40
            assert (after[tissue] > 0).mean() > 0.98
            assert np.corrcoef(before[tissue], after[tissue])[0, 1] > 0.95, "tissue keeps its order"
            pairs.append(after)
        assert np.abs(pairs[0] - pairs[1]).mean() < 3, "visits are scaled alike"


def test_volumes_with_few_values_below_their_background_stay_as_they_are():
    voxels = person()
    assert _with_dark_background(voxels) is voxels
    voxels[::7, ::5, ::3] -= np.where(voxels[::7, ::5, ::3] == 0, 0.5, 0)  # as interpolation leaves them
    assert _with_dark_background(voxels) is voxels
    air = np.random.default_rng(0).normal(-1, 0.1, voxels.shape).astype(np.float32)  # scaled as a whole
    assert _with_dark_background(air) is air
