import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.region_of_interest import RegionOfInterest
from learner_ray.imaging.video import read_video, text_in_video
from tests.imaging.make_scans import SHARED_DATA, numbered_frames, numbers_of, write_video

CLIPS = SHARED_DATA / "pocus-ccby" / "clips"
CODECS = {
    "h264.mp4": {"options": {"bf": "3"}},
    "open-gop.mkv": {"options": {"x264-params": "open-gop=1:keyint=8:bframes=3"}},
    "hevc.mov": {"codec": "libx265"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "vp8.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mpeg4-b.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg1.mpg": {"codec": "mpeg1video"},
    "mpeg2-b.mpeg": {"codec": "mpeg2video", "options": {"bf": "2"}},
    "wmv2.wmv": {"codec": "wmv2"},
    "animation.gif": {"codec": "gif", "pix_fmt": "gray"},
    "av1.mp4": {"codec": "libsvtav1"},
}


def _oracle(path, width, height):
    """PyAV alone, all frames in order, grey by BT.601."""
    with av.open(str(path)) as container:
        rgb = [
            frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
            for frame in container.decode(video=0)
        ]
    return np.stack(rgb) @ np.array([0.299, 0.587, 0.114])


@pytest.mark.parametrize("name", CODECS)
def test_every_frame_is_read_once_and_in_order(tmp_path, name):
    path = write_video(tmp_path / name, numbered_frames(40), **CODECS[name])
    read = read_video(str(path), 54)
    assert read.shape == (40, 54, 54) and read.dtype == np.uint8
    assert numbers_of(read) == list(range(40))


@pytest.mark.skipif(not CLIPS.is_dir(), reason="shared/data/pocus-ccby is absent")
@pytest.mark.parametrize("kind", ["*.mov", "*.mp4", "Reg_pat[12]*.mpeg"])
def test_real_clips_agree_with_pyav(kind):
    for path in sorted(CLIPS.glob(kind))[:3]:
        read, expected = read_video(str(path), 56), _oracle(path, 56, 56)
        assert read.shape == expected.shape
        assert np.abs(read - expected).max() < 4, path.name


@pytest.mark.parametrize("size", [48, 112])
def test_pyav_gives_what_decord_gives(tmp_path, monkeypatch, size):
    """At a width of 48 decord returns four channels, see its issue 336."""
    path = write_video(tmp_path / "clip.mp4", numbered_frames(10))
    with_decord = read_video(str(path), size).astype(int)
    monkeypatch.setitem(sys.modules, "decord", None)
    assert np.abs(read_video(str(path), size) - with_decord).max() <= 2


@pytest.mark.parametrize(("pixel_aspect", "height"), [(1, 32), (2, 16)])
def test_aspect_ratio_as_shown_is_kept(tmp_path, pixel_aspect, height):
    path = write_video(tmp_path / "clip.mp4", np.full((3, 64, 128), 200, np.uint8), pixel_aspect=pixel_aspect)
    rows = read_video(str(path), 64)[2].mean(1) > 100
    assert rows.sum() == height and rows[32 - height // 2 : 32 + height // 2].all()


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        ((-1, 0, 0, 1), "shown mirrored"),  # as a front camera's
        ((1, 0, 0, -1), "shown mirrored"),
        ((0, 1, 1, 0), "shown mirrored"),
        ((0.7071, 0.7071, -0.7071, 0.7071), "turned by -45 degrees"),
    ],
)
def test_what_is_shown_otherwise_than_turned_by_right_angles_is_refused(tmp_path, matrix, reason):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(3))
    content = path.read_bytes()
    a, b, c, d = (round(value * (1 << 16)) for value in matrix)
    upright = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    other = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], ">i4").tobytes()
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + other + content[at + 36 :])
    with pytest.raises(ScanError, match=reason):
        read_video(str(path), 64)


def test_rotation_of_the_container_is_applied(tmp_path):
    frames = np.zeros((3, 64, 128), np.uint8)
    frames[:, :, :64] = 200
    path = write_video(tmp_path / "clip.mp4", frames)
    content = path.read_bytes()
    upright = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    clockwise = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    track = content.index(b"tkhd")
    at = content.index(upright, track)
    path.write_bytes(content[:at] + clockwise + content[at + 36 :])

    frame = read_video(str(path), 64)[2]

    assert frame[4:28, 20:44].min() > 100, "the left half comes to the top"
    assert frame[36:].max() < 20


def test_frames_before_an_edit_lists_start_are_not_shown(tmp_path):
    """decord would show them."""
    source = write_video(tmp_path / "whole.mp4", numbered_frames(30), options={"bf": "0"})
    path = tmp_path / "cut.mp4"
    keep_negative = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as whole, av.open(str(path), "w", options=keep_negative) as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                shift = round(10 / 25 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                cut.mux(packet)
    assert numbers_of(read_video(str(path), 54)) == list(range(10, 30))


def test_titles_need_not_be_unicode(tmp_path):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(5), title="Pleura rechts")
    path.write_bytes(path.read_bytes().replace(b"Pleura", b"Pl\xe4ura"))
    assert len(read_video(str(path), 48)) == 5


@pytest.mark.parametrize("name", [name for name in CODECS if name != "wmv2.wmv"])
def test_truncated_videos_are_refused(tmp_path, name):
    frames = np.random.default_rng(0).integers(0, 255, (40, 64, 96), dtype=np.uint8)
    content = write_video(tmp_path / name, frames, **CODECS[name]).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * 0.7)])
    with pytest.raises(ScanError):
        read_video(str(tmp_path / name), 48)


def test_truncated_video_with_its_index_in_front_is_refused(tmp_path):
    path = tmp_path / "clip.mp4"
    write_video(path, numbered_frames(40), container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ScanError, match=r"truncated|ends within a frame"):
        read_video(str(path), 48)


def test_damaged_video_is_refused(tmp_path):
    path = write_video(tmp_path / "clip.mp4", numbered_frames(60, 192, 128))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(ScanError, match="cannot be decoded"):
        read_video(str(path), 48)


@pytest.mark.parametrize("content", [b"", b"not a video at all\n" * 50])
def test_what_is_no_video_is_refused(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(ScanError, match="cannot be decoded"):
        read_video(str(path), 48)


def test_frames_of_another_size_are_scaled_to_that_of_the_first(tmp_path):
    path = tmp_path / "two-sizes.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuvj420p"
        for time, (height, width) in enumerate([(96, 128), (48, 64)]):
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.height, encoder.width, encoder.pix_fmt = height, width, "yuvj420p"
            encoder.time_base = Fraction(1, 10)
            frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, encoder.time_base
            for packet in [*encoder.encode(frame.reformat(format="yuvj420p")), *encoder.encode(None)]:
                packet.stream = stream
                container.mux(packet)
    seen = read_video(str(path), 32, RegionOfInterest("0,0,96,96"))
    assert seen.shape == (2, 32, 32) and np.abs(seen.astype(int) - 90).max() <= 2
    assert not text_in_video(str(path))
