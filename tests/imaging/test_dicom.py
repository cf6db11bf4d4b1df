"""DICOM clips and pictures: every way of storing a frame gives the same frame."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("pydicom", reason="needs the extra [dicom]")
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from learner_ray.imaging.dicom_header import read_header
from learner_ray.imaging.dicom_pixels import decoded, grey_of
from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.kinds import kind_of_scan
from learner_ray.imaging.reader import read_scan, reader_version
from tests.imaging.make_dicom import RADIOGRAPH, STILL, moving_screen, palette_tags, region, write_dicom

RAMP = np.arange(96, dtype=np.uint8).reshape(1, 8, 12) * 2 + 20
"""A grey picture, (1, H, W)."""
COLOURS = np.stack([RAMP, 255 - RAMP, RAMP // 2], -1)
LUMA = np.round(COLOURS @ [0.299, 0.587, 0.114])


def ybr(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """ITU-R BT.601 with the full range, as DICOM defines YBR_FULL."""
    matrix = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    return np.clip(np.round(rgb @ np.transpose(matrix) + [0, 128, 128]), 0, 255).astype(np.uint8)


TABLE = np.stack([np.arange(256) * 256 + 255, np.full(256, 0), np.arange(256)[::-1] * 256], -1).astype(
    np.uint16
)
STORED: dict[str, tuple[NDArray[Any], NDArray[Any], dict[str, Any]]] = {
    "grey": (RAMP, RAMP, {}),
    "inverted": (255 - RAMP, RAMP, {"colours": "MONOCHROME1"}),
    "negative slope": (255 - RAMP, RAMP, {"RescaleSlope": "-1", "RescaleIntercept": "255"}),
    "12 bits": (RAMP.astype(np.uint16) * 16 + 7, RAMP, {"bits": 12}),
    "overlay in the high bits": (RAMP.astype(np.uint16) * 16 + 0x8000, RAMP, {"bits": 12}),
    "signed": ((RAMP.astype(int) * 256 - 32768).astype(np.int16), RAMP, {"bits": 16}),
    "16 bits, big endian": (RAMP.astype(np.uint16) * 256, RAMP, {"bits": 16, "big_endian": True}),
    "run lengths": (RAMP, RAMP, {"compressed": True}),
    "RGB": (COLOURS, LUMA, {"colours": "RGB"}),
    "RGB by plane": (COLOURS, LUMA, {"colours": "RGB", "planar": True}),
    "RGB by plane, compressed": (COLOURS, LUMA, {"colours": "RGB", "compressed": True}),
    "YBR": (ybr(COLOURS), LUMA, {"colours": "YBR_FULL"}),
    "palette": (
        RAMP,
        np.round(RAMP * 0.299 + (255 - RAMP) * 0.114),
        {"colours": "PALETTE COLOR", **palette_tags(TABLE)},
    ),
    "palette of 8 bits": (
        RAMP,
        np.round(RAMP * 0.299 + (255 - RAMP) * 0.114),
        {"colours": "PALETTE COLOR", **palette_tags(TABLE >> 8)},
    ),
    "palette of 16 bits": (
        RAMP.astype(np.uint16),
        np.round(RAMP * 0.299 + (255 - RAMP) * 0.114),
        {"colours": "PALETTE COLOR", "bits": 16, **palette_tags(TABLE)},
    ),
}
"""Values stored, grey levels expected, and how they are stored."""


@pytest.mark.parametrize("stored", STORED)
def test_a_frame_is_the_same_however_it_is_stored(stored: str, tmp_path: Path) -> None:
    values, expected, how = STORED[stored]
    path = str(write_dicom(tmp_path / "IM000001", np.repeat(values, 2, 0), **how))
    header = read_header(path)
    frames = [grey_of(header)(each).astype(int) for each in decoded(path, header)]
    assert len(frames) == 2
    assert np.abs(np.stack(frames) - expected).max() <= 1


def test_a_file_without_a_suffix_is_known_by_its_content(tmp_path: Path) -> None:
    for name, magic in (("IM000001", True), ("1.2.840.113", True), ("raw", False)):
        path = write_dicom(tmp_path / name, RAMP, sop_class=STILL, magic=magic)
        assert kind_of_scan((str(path),)) == "dicom"
    assert read_scan([str(tmp_path / "IM000001")], 12).shape == (1, 12, 12)
    assert kind_of_scan((__file__,)) == ".py"
    with pytest.raises(ScanError, match="does not state its Transfer Syntax; export"):
        read_scan([str(tmp_path / "raw")], 12)


def test_a_clip_is_cut_to_its_largest_region_of_tissue(tmp_path: Path) -> None:
    small, large, trace = region((0, 0, 9, 9)), region((40, 30, 119, 99)), region((0, 100, 159, 119), form=4)
    path = write_dicom(tmp_path / "clip.dcm", moving_screen(), regions=[trace, small, large])
    header = read_header(str(path))
    assert header.region == (40, 30, 120, 100)
    assert header.mm_per_px == pytest.approx(0.2)
    frames = read_scan([str(path)], 80)
    np.testing.assert_array_equal(frames[:, 5:75], moving_screen()[:, 30:100, 40:120])
    assert not frames[:, :5].any() and not frames[:, 75:].any()


@pytest.mark.parametrize("regions", [[], [region((84, 31, 595, 414))], [region((40, 30, 119, 99), kind=3)]])
def test_without_a_region_of_tissue_in_the_frame_a_clip_is_cut_to_what_moves(
    regions: list[Any], tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "clip.dcm", moving_screen(), regions=regions)
    assert read_header(str(path)).region is None
    frames = read_scan([str(path)], 80)
    np.testing.assert_array_equal(frames[:, 5:75], moving_screen()[:, 30:100, 40:120])


def test_a_still_clip_and_a_picture_without_a_region_stay_whole(tmp_path: Path) -> None:
    still = np.repeat(moving_screen(1), 3, 0)
    path = write_dicom(tmp_path / "clip.dcm", still)
    np.testing.assert_array_equal(read_scan([str(path)], 160)[:, 20:140], still)
    path = write_dicom(tmp_path / "picture.dcm", still[:1], sop_class=STILL)
    np.testing.assert_array_equal(read_scan([str(path)], 160)[:, 20:140], still[:1])


def test_pixels_that_are_not_square_are_shown_as_they_are(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, sop_class=STILL, PixelAspectRatio=["4", "3"])
    assert read_header(str(path)).pixel_aspect == 0.75
    frame = read_scan([str(path)], 90)[0]  # 12 x 8 pixels of 3 : 4 are 9 : 8
    assert np.flatnonzero(frame.any(1)).tolist() == list(range(5, 85))
    path = write_dicom(tmp_path / "b.dcm", RAMP, sop_class=RADIOGRAPH, PixelSpacing=["0.2", "0.1"])
    header = read_header(str(path))
    assert (header.pixel_aspect, header.mm_per_px) == (0.5, 0.2)


def test_a_radiograph_of_more_bits_is_clipped_as_any_picture_is(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 10_000).astype(np.uint16).reshape(1, 100, 100)
    path = write_dicom(
        tmp_path / "a",
        values,
        sop_class=RADIOGRAPH,
        bits=12,
        colours="MONOCHROME1",
        WindowCenter="9",
        WindowWidth="1",
    )
    low, high = np.percentile(4095 - values, (0.5, 99.5))
    expected = np.clip((4095 - values - low) / (high - low) * 255, 0, 255)
    assert np.abs(read_scan([str(path)], 100) - expected).max() <= 1


RATES: list[tuple[dict[str, Any], float | None]] = [
    ({}, None),
    ({"FrameTime": "40"}, 25),
    ({"FrameTime": "0", "CineRate": "30"}, 30),
    ({"FrameTimeVector": ["0", "20", "30"]}, 40),
    ({"RecommendedDisplayFrameRate": "12", "CineRate": "30"}, 12),
]


@pytest.mark.parametrize(("tags", "expected"), RATES)
def test_frames_per_second(tags: dict[str, Any], expected: float | None, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "clip", np.repeat(RAMP, 3, 0), **tags)
    assert read_header(str(path)).frames_per_s == expected


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"NumberOfFrames": "4"}, "announces 4 frames but holds 3"),
    ({"NumberOfFrames": None}, "announces 1 frames but holds 3"),
    (
        {"NumberOfFrames": "4", "compressed": True},
        "frame 4 of 4 cannot be decoded|announces 4 frames but holds 3",
    ),
    ({"NumberOfFrames": None, "compressed": True}, "1 are announced, but the file holds more"),
    ({"NumberOfFrames": "2", "compressed": True}, "2 are announced, but the file holds more"),
    ({"PixelData": None}, "holds no pixels"),
    ({"Rows": None}, "it does not state Rows"),
    ({"PhotometricInterpretation": "HSV"}, "1 values a pixel of the kind HSV"),
    ({"BitsAllocated": 1}, "has 1 bits a value"),
    (
        {"sop_class": "1.2.840.10008.5.1.4.1.1.88.11"},
        r"holds no scan \(Basic Text SR Storage\); leave it out",
    ),
]


@pytest.mark.parametrize(("how", "said"), WRONG)
def test_what_is_wrong_with_a_file_is_said_in_one_line(
    how: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "clip.dcm", np.repeat(RAMP, 3, 0), **how)
    with pytest.raises(ScanError, match=said) as refused:
        read_scan([str(path)], 12)
    assert "\n" not in refused.value.reason


@pytest.mark.parametrize("offsets", [True, False])
def test_a_file_of_several_jpegs_that_states_no_number_of_frames_is_refused(
    offsets: bool, tmp_path: Path
) -> None:
    path = write_dicom(tmp_path / "clip.dcm", RAMP)
    jpeg = io.BytesIO()
    Image.fromarray(RAMP[0]).save(jpeg, "JPEG")
    data = dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    for count in (1, 3):
        data.PixelData = encapsulate([jpeg.getvalue()] * count, has_bot=offsets)
        data["PixelData"].is_undefined_length = True
        data.save_as(path, enforce_file_format=True)
        if count == 1:
            assert read_scan([str(path)], 12).shape == (1, 12, 12)
    with pytest.raises(ScanError, match="announces 1 frame but holds 3"):
        read_scan([str(path)], 12)


@pytest.mark.parametrize("lost", [1, 100, 288])
def test_a_file_that_ends_too_early_is_refused(lost: int, tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "clip.dcm", np.repeat(RAMP, 3, 0))
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ScanError, match=r"announces 3 frames but holds [0-2]"):
        read_header(str(path))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), data=st.data()
)
def test_damage_anywhere_gives_frames_or_our_error(
    changes: list[tuple[float, int]], data: st.DataObject, tmp_path: Path
) -> None:
    path = tmp_path / "clip.dcm"
    how = data.draw(
        st.sampled_from([{}, {"compressed": True}, {"colours": "PALETTE COLOR", **palette_tags(TABLE)}])
    )
    write_dicom(path, np.repeat(RAMP, 3, 0), regions=[region((1, 1, 9, 6))], **how)
    content = bytearray(path.read_bytes())
    for where, value in changes:
        content[int(where * (len(content) - 1))] = value
    path.write_bytes(content)
    with contextlib.suppress(ScanError):
        assert read_scan([str(path)], 12).shape[1:] == (12, 12)


def test_without_pydicom_or_a_decoder_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels.decoders.base import Decoder

    path = write_dicom(tmp_path / "clip.dcm", np.repeat(RAMP, 3, 0), compressed=True)
    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "is_available", False)
        with pytest.raises(
            ScanError, match=r"needs pylibjpeg pylibjpeg-rle; pip install pylibjpeg pylibjpeg-rle"
        ):
            read_scan([str(path)], 12)
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    with pytest.raises(ScanError, match=r"needs the package pydicom; pip install 'learner-ray\[dicom\]'"):
        read_scan([str(path)], 12)


def test_decoders_of_dicom_leave_the_version_of_other_readers_alone() -> None:
    assert "pydicom" not in reader_version(["video", "3 x picture"])
    assert "pydicom-" in reader_version(["dicom", "video"])
