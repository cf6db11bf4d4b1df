"""Videos: every frame, once, in order.

decord reads the codecs that it was measured to decode without a wrong frame when nothing is skipped. All
others, and files that decord refuses or whose frames it counts or shapes differently, go through PyAV with
the same bilinear scaling: single pixels differ by a few grey levels. Neither ever seeks, since seeking
returns wrong frames for several common codecs. What damage inside a frame can be concealed by a decoder is
noticed with PyAV only."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from dataclasses import dataclass

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import open_video
from learner_ray.imaging.limits import MOST_FRAMES
from learner_ray.imaging.raster import fit, luma, pad_square, resize, to_grey
from learner_ray.imaging.region_of_interest import WHOLE, RegionOfInterest
from learner_ray.imaging.screen import Change, shows_text

_DECORD_CODECS = {"h264", "hevc", "mjpeg", "mpeg4", "vp9"}
_END_TOLERANCE_FRAMES = 2
_GIF_TRAILER = b"\x3b"


def read_video(path: str, size: int, region: RegionOfInterest = WHOLE) -> NDArray[np.uint8]:
    """Reads every frame of a video in grey, in order.

    The aspect ratio as shown (pixel aspect and rotation included) is kept, see ``raster``. Where there is
    a region of interest, frames are decoded at their own size by PyAV, cut, and then scaled.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: the file is empty, truncated or damaged, so that not every frame it announces can be read,
            or its crop or mask does not fit.
    """
    header = _inspect(path)
    if region:
        return _read_region(path, header, size, region)
    width, height = fit(header.width, header.height, size)
    frames = None
    if header.codec in _DECORD_CODECS and not header.rotation and not header.edited:
        frames = _decode_with_decord(path, width, height, header.frames)
    if frames is None:
        frames = _decode_with_pyav(path, width, height)
    _require_all(path, frames, header)
    return pad_square(np.rot90(frames, header.rotation // 90, axes=(1, 2)), size)


def _read_region(path: str, header: _Header, size: int, region: RegionOfInterest) -> NDArray[np.uint8]:
    """Frames (T, size, size) of what is to be seen of a video."""
    scaled: list[NDArray[np.uint8]] = []
    for frame in upright_frames(path):
        if not scaled:
            seen = region.picture(path, frame.shape[1], frame.shape[0])
            left, top, right, bottom = seen.box
            turned = header.rotation % 180 != 0
            shown = (header.height, header.width) if turned else (header.width, header.height)
            wide, high = shown[0] / frame.shape[1], shown[1] / frame.shape[0]
            width, height = fit((right - left) * wide, (bottom - top) * high, size)
        cut = torch.from_numpy(seen.cut(frame)).float()
        scaled.append(to_grey(resize(cut[None], width, height), 0.0, 255.0)[0])
    _require_all(path, scaled, header)
    return pad_square(np.stack(scaled), size)


def upright_frames(path: str) -> Iterator[NDArray[np.uint8]]:
    """Every frame of a video in grey (H, W), in order, at the size of the first and turned as it is shown.

    Raises:
        ScanError: a frame is damaged, or is to be shown mirrored or at an angle.
    """
    turns, converter = None, VideoReformatter()
    with open_video(path) as container:
        for number, frame in enumerate(container.decode(video=0), start=1):
            if frame.is_corrupt:
                raise ScanError(path, f"frame {number} is damaged")
            if turns is None:
                turns, width, height = _rotation(path, frame) // 90, frame.width, frame.height
            rgb = converter.reformat(frame, width, height, "rgb24")
            yield np.rot90(luma(np.asarray(rgb.to_ndarray(), np.uint8)), turns)


def text_in_video(path: str, region: RegionOfInterest = WHOLE) -> bool:
    """Whether bright text is burnt into what is to be seen of a video.

    Raises:
        ScanError: the file is damaged, or its crop or mask does not fit.
    """
    change = seen = None
    for frame in upright_frames(path):
        seen = seen or region.picture(path, frame.shape[1], frame.shape[0])
        cut = seen.cut(frame)
        change = change or Change(*cut.shape)
        change.add(cut)
    return change is not None and shows_text(change)


def _require_all(path: str, frames: Sized, header: _Header) -> None:
    if len(frames) != header.frames:
        raise ScanError(path, f"only {len(frames)} of its {header.frames} frames can be decoded")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What the container says of its video, and what was found on going through its packets."""

    codec: str
    width: float
    """Width of a frame as it is shown, before rotation, in pixels of its height."""
    height: float
    frames: int
    """Frames to expect: packets in the file, without those an edit list hides."""
    rotation: int
    """Counter-clockwise turn before a frame is shown, in degrees, a multiple of 90."""
    edited: bool
    """An edit list hides part of the frames."""


def _inspect(path: str) -> _Header:
    """Go through the whole container without decoding it, which is how a truncated file shows."""
    with open_video(path) as container:
        stream = container.streams.video[0]
        rotation: int | None = None
        packets = hidden = 0
        end_s = 0.0
        for packet in container.demux():
            if packet.is_corrupt:
                raise ScanError(path, "ends within a frame or is damaged")
            if packet.pts is not None:
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is not stream:
                continue
            if rotation is None:  # known from the first frame, which may come packets later
                rotation = next((_rotation(path, frame) for frame in packet.decode()), None)
            packets += packet.size > 0
            if packets > MOST_FRAMES:
                raise ScanError(
                    path, f"holds more than {MOST_FRAMES:,} frames; cut it to the part to be seen"
                )
            hidden += packet.is_discard
        _require_complete(path, container, stream, packets, end_s)
        pixel_aspect = float(stream.sample_aspect_ratio or 1)
        return _Header(
            codec=stream.codec_context.name,
            width=stream.width * pixel_aspect,
            height=stream.height,
            frames=packets - hidden,
            rotation=(rotation or 0) % 360,
            edited=hidden > 0,
        )


def _rotation(path: str, frame: av.VideoFrame) -> int:
    """Degrees that a frame is turned before it is shown, a multiple of 90.

    Raises:
        ScanError: it is to be shown mirrored, or by another angle: neither would be what its owner sees.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is not None:
        a, b, _, c, d, *_ = np.frombuffer(bytes(matrix), "=i4").tolist()
        if a * d - b * c < 0:
            raise ScanError(path, "is to be shown mirrored; save it as it should be seen")
    if frame.rotation % 90:
        raise ScanError(path, f"is to be shown turned by {frame.rotation} degrees; save it upright")
    return int(frame.rotation)


def _require_complete(
    path: str, container: av.container.InputContainer, stream: av.VideoStream, packets: int, end_s: float
) -> None:
    if packets == 0 or not stream.width or not stream.height:
        raise ScanError(path, "holds no frames")
    if stream.frames and packets != stream.frames:
        raise ScanError(path, f"announces {stream.frames} frames but holds {packets}: truncated?")
    # Matroska counts no frames but states its duration; of MPEG streams it is only an estimate.
    if "matroska" in container.format.name and container.duration:
        duration_s = container.duration / av.time_base
        if end_s < duration_s - _END_TOLERANCE_FRAMES / float(stream.average_rate or 10):
            raise ScanError(path, f"announces {duration_s:.2f} s but ends at {end_s:.2f} s: truncated?")
    if container.format.name == "gif":
        with open(path, "rb") as file:
            file.seek(-1, 2)
            if file.read() != _GIF_TRAILER:
                raise ScanError(path, "ends without a GIF's last byte: truncated?")


def _decode_with_decord(path: str, width: int, height: int, count: int) -> NDArray[np.uint8] | None:
    """Frames (T, height, width), or None where decord is not installed, or refuses the file or finds another
    number of frames."""
    try:
        import decord
        from decord._ffi.base import DECORDError
    except ImportError:
        return None
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(path, width=width, height=height, num_threads=1)
        if len(reader) != count:
            return None
        frames = np.empty((count, height, width), np.uint8)
        for i in range(count):
            rgb = reader.next().asnumpy()
            if rgb.shape != (height, width, 3):  # some widths: https://github.com/dmlc/decord/issues/336
                return None
            frames[i] = luma(rgb)
    except (RuntimeError, DECORDError, StopIteration):
        return None
    return frames


def _decode_with_pyav(path: str, width: int, height: int) -> NDArray[np.uint8]:
    """Frames (T, height, width)."""
    frames: list[NDArray[np.uint8]] = []
    scaler = VideoReformatter()  # one for all frames: making one takes longer than decoding a frame
    with open_video(path) as container:
        for frame in container.decode(video=0):
            if frame.is_corrupt:
                raise ScanError(path, f"frame {len(frames) + 1} is damaged")
            rgb = scaler.reformat(frame, width, height, "rgb24", interpolation="BILINEAR")
            frames.append(luma(np.asarray(rgb.to_ndarray(), np.uint8)))
    return np.stack(frames) if frames else np.empty((0, height, width), np.uint8)
