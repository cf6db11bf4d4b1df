"""The network sees what crop and mask leave of a scan, and what does not fit is named with its row."""

import nibabel
import numpy as np
import pytest
from PIL import Image

from learner_ray.cohort import load
from learner_ray.core.errors import UserError
from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import gate
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.ingest import scan_key
from learner_ray.imaging.reader import read_scan
from learner_ray.imaging.region_of_interest import RegionOfInterest
from tests.imaging.make_dicom import write_dicom
from tests.imaging.make_scans import cohort_of, head, person, write_nifti, write_video

FEW = Geometry(levels="extent", slices=6)
CROP = (16, 8, 80, 56)
WIDTH, HEIGHT = 96, 64


def scene(frames: int = 1) -> np.ndarray:
    """Frames (T, H, W) whose rows and columns all differ, and that change over time."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([(40 + x + y + 5 * t) % 256 for t in range(frames)]).astype(np.uint8)


def cut(frames: np.ndarray) -> np.ndarray:
    left, top, right, bottom = CROP
    return frames[:, top:bottom, left:right]


def half_mask(folder, width=WIDTH, height=HEIGHT):
    """A mask that hides the left half."""
    inside = np.zeros((height, width), np.uint8)
    inside[:, width // 2 :] = 1
    Image.fromarray(inside).save(folder / "mask.png")
    return str(folder / "mask.png")


def write(kind: str, folder, frames: np.ndarray) -> list[str]:
    """The frames (T, H, W) as a file of a kind, without loss."""
    path = folder / f"{frames.shape[1]}.{kind}"
    if kind == "png":
        Image.fromarray(frames[0]).save(path)
    elif kind == "nii":  # x grows to the right and y upwards
        write_nifti(path, frames[0].T[:, ::-1])
    elif kind == "dcm":
        write_dicom(path, frames, BurnedInAnnotation="NO")
    else:
        options = {"qp": "0", "color_range": "pc"}
        write_video(path, frames, codec="libx264rgb", pix_fmt="rgb24", options=options)
    return [str(path)]


@pytest.mark.parametrize("kind", ["png", "nii", "dcm", "mkv"])
def test_a_cropped_scan_is_the_scan_of_a_smaller_file(tmp_path, kind):
    frames = scene(3 if kind == "mkv" else 1)
    whole, small = write(kind, tmp_path, frames), write(kind, tmp_path, cut(frames))
    region = RegionOfInterest(crop=",".join(map(str, CROP)))
    seen = read_scan(whole, 48, region=region).astype(int)
    assert seen.shape == (len(frames), 48, 48)
    # A video without a region is scaled by another program, by a few grey levels.
    assert np.abs(seen - read_scan(small, 48)).max() <= (6 if kind == "mkv" else 0)


@pytest.mark.parametrize("kind", ["png", "dcm", "mkv"])
def test_a_mask_blackens_what_it_hides_and_nothing_else(tmp_path, kind):
    files = write(kind, tmp_path, scene(2 if kind == "mkv" else 1))
    whole = read_scan(files, WIDTH, region=RegionOfInterest(crop=f"0,0,{WIDTH},{HEIGHT}"))
    seen = read_scan(files, WIDTH, region=RegionOfInterest(mask=half_mask(tmp_path)))
    assert not seen[..., : WIDTH // 2].any()
    np.testing.assert_array_equal(seen[..., WIDTH // 2 :], whole[..., WIDTH // 2 :])


def test_a_masked_volume_is_the_stripped_one(tmp_path):
    brain, turn = head(), np.diag([-1.0, 1.0, 1.0, 1.0])
    inside = (brain > 0) & (np.arange(brain.shape[2]) > 12)  # without the neck
    whole = write_nifti(tmp_path / "whole.nii.gz", brain + 7, turn)
    stripped = write_nifti(tmp_path / "stripped.nii.gz", np.where(inside, brain + 7, 7), turn)
    mask = write_nifti(tmp_path / "mask.nii.gz", inside.astype(np.uint8), turn)
    seen = read_scan([str(whole)], 40, FEW, RegionOfInterest(mask=str(mask)))
    np.testing.assert_array_equal(seen, read_scan([str(stripped)], 40, FEW))


def test_levels_in_mm_of_a_cropped_volume_are_those_of_the_whole_head(tmp_path):
    """A crop with less area than the top of a head shows what lies at the same levels, at the same scale."""
    plain, affine = person(), np.diag([3.0, 3.0, 3.0, 1.0])
    marked = plain.copy()
    marked[20:26, 35:41, 65:67] = 20  # a hole in the middle of the crop, near the top
    files = [str(write_nifti(tmp_path / f"{n}.nii", v, affine)) for n, v in enumerate((plain, marked))]
    crop = f"18,{plain.shape[1] - 43},28,{plain.shape[1] - 33}"  # 30 mm wide and high
    levels = []
    for region in (RegionOfInterest(), RegionOfInterest(crop=crop)):
        without, with_mark = (read_scan([file], 64, region=region).astype(int) for file in files)
        levels.append((np.abs(with_mark - without) > 40).any((1, 2)))
    np.testing.assert_array_equal(*levels)
    assert 1 <= levels[0].sum() <= 3
    for axis in (0, 1):
        shown = np.flatnonzero((without.max(0) > 100).any(axis))
        assert abs(len(shown) - 30 / 3.5) <= 2 and abs(shown.mean() - 31.5) <= 1, "3.5 mm a pixel, centred"


def test_a_crop_of_the_margins_alone_changes_no_volume_in_mm(tmp_path):
    voxels = person()
    whole = write_nifti(tmp_path / "whole.nii", voxels, np.diag([3.0, 3.0, 3.0, 1.0]))
    crop = f"3,2,{voxels.shape[0] - 2},{voxels.shape[1] - 3}"
    seen = read_scan([str(whole)], 64, region=RegionOfInterest(crop=crop)).astype(int)
    assert np.abs(seen - read_scan([str(whole)], 64)).max() <= 1


def test_a_masked_volume_in_mm_is_the_stripped_one_whether_cropped_or_not(tmp_path):
    voxels, affine = person() + 7, np.diag([3.0, 3.0, 3.0, 1.0])
    inside = (voxels > 7) & (np.arange(voxels.shape[2]) > 25)  # without the neck
    whole = write_nifti(tmp_path / "whole.nii", voxels, affine)
    stripped = write_nifti(tmp_path / "stripped.nii", np.where(inside, voxels, 7), affine)
    mask = write_nifti(tmp_path / "mask.nii", inside.astype(np.uint8), affine)
    for crop in ("", "10,10,40,50"):
        seen = read_scan([str(whole)], 40, region=RegionOfInterest(crop=crop, mask=str(mask)))
        np.testing.assert_array_equal(
            seen, read_scan([str(stripped)], 40, region=RegionOfInterest(crop=crop))
        )


def listed(folder, *cells: str, scan: str = "a.png") -> str:
    """A manifest whose row 2 has these cells in crop and mask; returns its path."""
    for name in ("a.png", "b.png"):
        Image.fromarray(scene()[0] + (name == "b.png")).save(folder / name)
    rows = [f'{scan},P1,1,300,"{cells[0]}",{cells[1]}', "b.png,P2,1,320,,"]
    (folder / "manifest.csv").write_text("\n".join(["path,patient,visit,score,crop,mask", *rows]) + "\n")
    return str(folder / "manifest.csv")


@pytest.mark.parametrize(
    ("crop", "mask", "said"),
    [
        ("0,0,97,64", "", r"a\.png has 96 x 64 pixels, beyond which crop 0,0,97,64 reaches; correct"),
        ("10,0,10,64", "", r"crop '10,0,10,64' is no part of a picture: write it as x0,y0,x1,y1"),
        ("-1,0,10,64", "", r"crop '-1,0,10,64' is no part of a picture"),
        ("", "absent.png", r"mask absent\.png does not exist; correct the path"),
        ("", "small.png", r"small\.png has 10 x 10 pixels, its scan 96 x 64; make it as large"),
        ("", "empty.png", r"empty\.png is nowhere above 0, so it hides all of its scan"),
        ("0,0,20,64", "mask.png", r"mask\.png is nowhere above 0 within crop 0,0,20,64"),
        ("", "mask.jpg", r"mask\.jpg is not a PNG picture"),
    ],
)
def test_what_does_not_fit_is_named_with_its_row_before_pixels_are_read(tmp_path, crop, mask, said):
    half_mask(tmp_path)
    for name, size in (("empty.png", (96, 64)), ("mask.jpg", (96, 64)), ("small.png", (10, 10))):
        Image.new("L", size, 0).save(tmp_path / name)
    with pytest.raises(UserError, match=r"row 2: .*" + said):
        gate.inspect(load(listed(tmp_path, crop, mask), modality="lus"), folds=())


@pytest.mark.parametrize(
    ("shape", "shift", "said"),
    [
        ((40, 48, 43), 0, r"has 40 x 48 x 43 voxels, its scan 40 x 48 x 44"),
        ((40, 48, 44), 5, "lies elsewhere"),
    ],
)
def test_a_mask_of_a_volume_lies_on_it_voxel_by_voxel(tmp_path, shape, shift, said):
    affine = np.eye(4)
    affine[0, 3] = shift
    write_nifti(tmp_path / "t1.nii.gz", head())
    write_nifti(tmp_path / "mask.nii.gz", np.ones(shape, np.uint8), affine)
    manifest = listed(tmp_path, "", "mask.nii.gz", scan="t1.nii.gz")
    with pytest.raises(UserError, match=rf"row 2: .*mask\.nii\.gz {said}"):
        gate.inspect(load(manifest, modality="lus"), folds=())
    with pytest.raises(UserError, match=rf"row 2: .*mask\.nii\.gz {said}"):
        gate.decode(load(manifest, modality="lus"), PixelSettings(32))
    [bad] = gate.bad_headers(load(manifest, modality="lus"))
    assert "/" not in bad.unnamed, "study.json names no path of a scan"


def test_crops_of_a_turned_volume_are_checked_as_it_is_shown(tmp_path):
    """Stored with the patient's back-to-front axis first: 48 wide in the file, 40 as shown."""
    turned = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    write_nifti(tmp_path / "t1.nii.gz", head().swapaxes(0, 1), turned)
    gate.inspect(load(listed(tmp_path, "0,0,40,48", "", scan="t1.nii.gz"), modality="lus"), folds=())
    with pytest.raises(UserError, match="has 40 x 48 pixels"):
        gate.inspect(load(listed(tmp_path, "0,0,48,40", "", scan="t1.nii.gz"), modality="lus"), folds=())


@pytest.mark.parametrize("crop", ["", "0,0,40,48"])
@pytest.mark.parametrize(("value", "said"), [(np.nan, "SVD did not converge"), (0.0, "its affine matrix")])
def test_a_volume_that_states_no_axes_is_named_before_it_is_read(tmp_path, crop, value, said):
    image = nibabel.Nifti1Image(head(), np.eye(4))
    image.header["srow_x"] = value  # which nibabel does not write itself
    (tmp_path / "t1.nii").write_bytes(image.header.binaryblock + bytes(4) + head().tobytes("F"))
    with pytest.raises(UserError, match=rf"row 2: .*t1\.nii cannot be read as NIfTI \({said}"):
        gate.inspect(load(listed(tmp_path, crop, "", scan="t1.nii"), modality="lus"), folds=())


def test_cohort_and_cache_know_a_region_only_where_there_is_one(tmp_path):
    plain = load(listed(tmp_path, "", ""), modality="lus")
    cropped = load(listed(tmp_path, "0,0,50,50", ""), modality="lus")
    masked = load(listed(tmp_path, "", half_mask(tmp_path).rpartition("/")[2]), modality="lus")
    hashes = [cohort.hash for cohort in (plain, cropped, masked)]
    assert len({*hashes}) == 3
    text = (tmp_path / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join(line.rsplit(",", 2)[0] for line in text))
    assert load(tmp_path / "manifest.csv", modality="lus").hash == plain.hash
    keys = {scan_key(next(cohort.scans.itertuples()), ["one hash"]) for cohort in (plain, cropped, masked)}
    assert len(keys) == 3

    half_mask(tmp_path, width=WIDTH + 2)  # the mask's content is part of the cohort, too
    assert load(masked.scans["source"][0], modality="lus").hash == plain.hash
    decoded = gate.decode(cropped, PixelSettings(32, crop="none"))
    assert decoded.cohort.hash == cropped.hash
    np.testing.assert_array_equal(decoded.cache.frames("a.png"), read_scan([str(tmp_path / "a.png")], 32))


def test_a_changed_mask_is_read_again(tmp_path):
    manifest = listed(tmp_path, "", half_mask(tmp_path).rpartition("/")[2])
    first = gate.decode(load(manifest, modality="lus"), PixelSettings(32))
    seen = first.cache.frames("a.png").copy()
    Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / "mask.png")
    again = gate.decode(load(manifest, modality="lus"), PixelSettings(32))
    assert first.cohort.hash != again.cohort.hash
    assert not seen[..., :14].any() and again.cache.frames("a.png")[..., 4:16, 4:16].any()
    assert cohort_of({"a": [tmp_path / "a.png"]}).scans["crop"].tolist() == [""]
