"""Every format of a volume gives the frames of the same volume as NIfTI, however its axes are stored."""

from __future__ import annotations

import gzip
import sys
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from learner_ray.cohort.scan_files import files_of_scan
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.geometry import Geometry
from learner_ray.imaging.headers import check_header, parts_of
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.reader import read_scan
from learner_ray.imaging.volume import read_volume
from learner_ray.imaging.volume_files import open_volume
from tests.imaging.make_scans import head

EXTENT = Geometry(levels="extent", slices=12)
ZOOMS = np.diag([1.0, 1.5, 2.0, 1.0])
AXES = ["RAS", "LPS", "ASL", "PIR"]


def stored(axes: str, voxels: NDArray[Any] | None = None) -> nibabel.Nifti1Image:
    """A head whose axes lead where the letters say, voxels of 1 x 1.5 x 2 mm."""
    image = nibabel.Nifti1Image((10 * head()).astype(np.int16) if voxels is None else voxels, ZOOMS)
    return image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(axes)))


def write_itk(path: Path, image: nibabel.Nifti1Image, *, compress: bool) -> None:
    itk = pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    made = itk.GetImageFromArray(np.asarray(image.dataobj).T)
    lps = np.diag([-1.0, -1.0, 1.0]) @ image.affine[:3]
    zooms = np.linalg.norm(lps[:, :3], axis=0)
    made.SetSpacing(zooms.tolist())
    made.SetDirection((lps[:, :3] / zooms).ravel().tolist())
    made.SetOrigin(lps[:, 3].tolist())
    itk.WriteImage(made, str(path), compress)


def write_analyze(path: Path, image: nibabel.Nifti1Image, orient: int = 0) -> None:
    header = nibabel.AnalyzeHeader(endianness=">")
    header.set_data_dtype(np.int16)
    made = nibabel.AnalyzeImage(np.asarray(image.dataobj), np.diag([*image.header.get_zooms(), 1]), header)
    nibabel.save(made, path)
    content = bytearray(path.with_suffix(".hdr").read_bytes())
    content[252] = orient
    path.with_suffix(".hdr").write_bytes(content)


def same(files: Path | list[Path], tmp_path: Path) -> bool:
    """Whether files show the head as NIfTI in RAS+ does; the gate reads their headers, too."""
    nibabel.save(stored("RAS"), tmp_path / "reference.nii")
    listed = [str(file) for file in (files if isinstance(files, list) else [files])]
    check_header(listed)
    read, expected = (read_volume(of, 48, EXTENT) for of in (listed, str(tmp_path / "reference.nii")))
    return bool(np.abs(read.astype(int) - expected).max() <= 1)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("suffix", [".mgz", ".mgh", ".img"])
def test_mgh_and_nifti_pairs(tmp_path: Path, axes: str, suffix: str) -> None:
    image = stored(axes)
    kind = nibabel.Nifti1Pair if suffix == ".img" else nibabel.MGHImage
    nibabel.save(kind(np.asarray(image.dataobj), image.affine), tmp_path / f"v{suffix}")
    assert same(tmp_path / f"v{suffix}", tmp_path)


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".mhd", ".nhdr"])
def test_metaimage_and_nrrd(tmp_path: Path, axes: str, suffix: str, compress: bool) -> None:
    write_itk(tmp_path / f"v{suffix}", stored(axes), compress=compress)
    assert same(tmp_path / f"v{suffix}", tmp_path)


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_voxels_of_any_kind_are_kept_for_as_long_as_the_volume(
    tmp_path: Path, suffix: str, kind: str
) -> None:
    rng = np.random.default_rng(0)
    volumes = {tmp_path / f"{n}{suffix}": rng.integers(0, 200, (70, 80, 90)).astype(kind) for n in range(3)}
    for path, voxels in volumes.items():
        write_itk(path, nibabel.Nifti1Image(voxels, ZOOMS, dtype=voxels.dtype), compress=False)
    opened = [open_volume([str(path)]) for path in volumes]
    for volume, voxels in zip(opened, volumes.values(), strict=True):
        np.testing.assert_array_equal(volume.get_fdata(), voxels)


@pytest.mark.parametrize(("axes", "orient"), [("LAS", 0), ("LSA", 1), ("ASL", 2), ("LPS", 3)])
def test_analyze_lies_as_its_byte_says(tmp_path: Path, axes: str, orient: int) -> None:
    write_analyze(tmp_path / "v.img", stored(axes), orient)
    assert same(tmp_path / "v.img", tmp_path)
    assert same([tmp_path / "v.hdr", tmp_path / "v.img"], tmp_path)


@pytest.mark.parametrize("name", ["OAS1_0001_MR1_mpr-1_anon", "OAS1_0001_MR2_mpr_n4_anon_sbj_111"])
def test_oasis_1_is_sagittal_whatever_its_header_says(tmp_path: Path, name: str) -> None:
    write_analyze(tmp_path / f"{name}.img", stored("ASL"), 0)
    assert same(tmp_path / f"{name}.img", tmp_path)


def test_oasis_1_in_atlas_space_lies_as_its_header_says(tmp_path: Path) -> None:
    write_analyze(tmp_path / "OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc.img", stored("LAS"), 0)
    assert same(tmp_path / "OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc.img", tmp_path)


def test_a_lone_slice_of_metaimage_has_its_first_row_at_the_top(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:8] = 200
    itk.WriteImage(itk.GetImageFromArray(pixels), str(tmp_path / "v.mha"))
    np.testing.assert_array_equal(read_volume(str(tmp_path / "v.mha"), 32)[0] > 100, pixels > 100)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mgz", ".img", ".mha", ".nrrd"])
def test_several_volumes_in_one_file_are_refused(tmp_path: Path, suffix: str) -> None:
    voxels = np.ones((8, 8, 6, 5), np.float32)
    path = tmp_path / f"v{suffix}"
    if suffix in (".mha", ".nrrd"):
        itk = pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
        itk.WriteImage(itk.GetImageFromArray(voxels.T, isVector=False), str(path))
    else:
        kinds = {".mgz": nibabel.MGHImage, ".img": nibabel.AnalyzeImage}
        nibabel.save(kinds.get(suffix, nibabel.Nifti1Image)(voxels, np.eye(4)), path)
    for read in (check_header, lambda files: read_volume(files, 32)):
        with pytest.raises(ScanError, match=r"holds several volumes \(8 x 8 x 6 x 5\)"):
            read([str(path)])


@pytest.mark.parametrize("suffix", [".mgz", ".mgh", ".img", ".mha", ".nrrd"])
@pytest.mark.parametrize("damage", ["cut", "zeros", "text", "empty"])
def test_damaged_files_are_refused(tmp_path: Path, suffix: str, damage: str) -> None:
    path, voxels = tmp_path / f"v{suffix}", np.random.default_rng(0).integers(0, 900, (30, 30, 30))
    image = stored("RAS", voxels.astype(np.int16))
    if suffix in (".mha", ".nrrd"):
        write_itk(path, image, compress=True)
    else:
        kind = nibabel.AnalyzeImage if suffix == ".img" else nibabel.MGHImage
        nibabel.save(kind(np.asarray(image.dataobj), image.affine), path)
    whole = path.read_bytes()
    if damage == "zeros" and suffix in (".mgh", ".img"):
        pytest.skip("without a checksum, other voxels are as good")
    half = len(whole) // 2
    damaged = {"cut": whole[:half], "zeros": whole[:half] + bytes(50) + whole[half + 50 :],
               "text": b"patient,score\n" * 100, "empty": b""}  # fmt: skip
    path.write_bytes(damaged[damage])
    with pytest.raises(ScanError, match=r"cannot be read (as|by)|is empty|holds no voxels") as error:
        read_scan([str(path)], 32)
    assert str(tmp_path) not in error.value.reason and "(0x" not in error.value.reason  # which is kept


HAND_WRITTEN = {
    "v.mhd": "ObjectType = Image\nNDims = 3\nElementSpacing = 1 1.5 2\n"
    "TransformMatrix = -1 0 0 0 -1 0 0 0 1\nDimSize = {0} {1} {2}\nElementType = MET_SHORT\n"
    "ElementByteOrderMSB = False\n{3}ElementDataFile = v.zraw\n",
    "v.nhdr": "NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: {0} {1} {2}\n"
    "endian: little\nspace directions: (1,0,0) (0,1.5,0) (0,0,2)\nencoding: {4}\ndata file: v.zraw\n",
}
"""Headers in the words of the formats' definitions: MetaIO of ITK, and NRRD of Teem."""


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", HAND_WRITTEN)
def test_headers_written_by_hand_beside_their_voxels(tmp_path: Path, name: str, zipped: bool) -> None:
    """Two files are one scan, of which both count; what is lacking or cut short is named."""
    pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    voxels = np.asarray(stored("RAS").dataobj)
    raw = voxels.tobytes("F")
    pack = zlib.compress if name == "v.mhd" else gzip.compress
    (tmp_path / "v.zraw").write_bytes(pack(raw) if zipped else raw)
    said = "CompressedData = True\n" if zipped else ""
    text = HAND_WRITTEN[name].format(*voxels.shape, said, "gzip" if zipped else "raw")
    (tmp_path / name).write_text(text)
    files = files_of_scan(str(tmp_path / name))
    assert files == (str(tmp_path / name), str(tmp_path / "v.zraw"))
    assert parts_of(files) == [files] and kind_of_scan(files) == "volume"
    assert same([Path(file) for file in files], tmp_path)
    np.testing.assert_array_equal(open_volume(files).get_fdata(), voxels)
    (tmp_path / "v.zraw").write_bytes((tmp_path / "v.zraw").read_bytes()[:1000])
    with pytest.raises(ScanError, match="cannot be read as"):
        read_scan(files, 32)
    (tmp_path / "v.zraw").unlink()
    assert str(files_of_scan(str(tmp_path / name))).startswith("needs v.zraw beside it")
    (tmp_path / name).write_text(text.replace("v.zraw", "../v.zraw"))
    assert str(files_of_scan(str(tmp_path / name))).startswith("names no single file of voxels beside it")


def test_a_header_of_voxels_in_another_file_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK", reason="needs the extra [itk]")
    (tmp_path / "v.nrrd").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\ndata file: v.raw\n\n"
    )
    (tmp_path / "v.mha").write_text(
        "NDims = 3\nDimSize = 4 4 4\nElementType = MET_SHORT\nElementDataFile = v.raw\n"
    )
    for name in ("v.nrrd", "v.mha"):
        with pytest.raises(ScanError, match="keeps its voxels in another file"):
            read_volume(str(tmp_path / name), 32)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_without_simpleitk_the_message_says_what_to_install(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"v{suffix}").write_bytes(b"NDims = 3\n")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(ScanError, match=r"needs the package SimpleITK; pip install 'learner-ray\[itk\]'"):
        check_header([str(tmp_path / f"v{suffix}")])
