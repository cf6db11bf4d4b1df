"""Videos: every frame, once, in order.

decord reads the codecs that it was measured to decode without a wrong frame when nothing is skipped. All
others, and files that decord refuses or whose frames it counts or shapes differently, go through PyAV with
the same bilinear scaling: single pixels differ by a few grey levels. Neither ever seeks, since seeking
returns wrong frames for several common codecs. What damage inside a frame can be concealed by a decoder is
noticed with PyAV only."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from learner_ray.imaging.errors import ScanError
from learner_ray.imaging.headers import open_video
from learner_ray.imaging.raster import fit, luma, pad_square

_DECORD_CODECS = {"h264", "hevc", "mjpeg", "mpeg4", "vp9"}
_END_TOLERANCE_FRAMES = 2
_GIF_TRAILER = b"\x3b"


def read_video(path: str, size: int) -> NDArray[np.uint8]:
    """Reads every frame of a video in grey, in order.

    The aspect ratio as shown (pixel aspect and rotation included) is kept, see ``raster``.

    Returns:
        uint8 (T, size, size).

    Raises:
        ScanError: the file is empty, truncated or damaged, so that not every frame it announces can be read.
    """
    header = _inspect(path)
    width, height = fit(header.width, header.height, size)
    frames = None
    if header.codec in _DECORD_CODECS and not header.rotation and not header.edited:
        frames = _decode_with_decord(path, width, height)
    if frames is None or len(frames) != header.frames:
        frames = _decode_with_pyav(path, width, height)
    if len(frames) != header.frames:
        raise ScanError(path, f"only {len(frames)} of its {header.frames} frames can be decoded")
    return pad_square(np.rot90(frames, header.rotation // 90, axes=(1, 2)), size)


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


def _decode_with_decord(path: str, width: int, height: int) -> NDArray[np.uint8] | None:
    """Frames (T, height, width), or None where decord is not installed or refuses the file."""
    try:
        import decord
        from decord._ffi.base import DECORDError
    except ImportError:
        return None
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(path, width=width, height=height, num_threads=1)
        frames = np.empty((len(reader), height, width), np.uint8)
        for i in range(len(reader)):
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
