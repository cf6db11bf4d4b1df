"""Damaged files of every kind that is read, put through the gate as a sweep does.

    python -m tests.imaging.fuzz [--mutations 1000] [--kinds mp4,dcm] [--also FOLDER] [--seed 0]

Prints Markdown: what became of the files of each kind, the longest time, and the highest memory of a decoder.
``--also`` damages the files of a folder as well, each as often. Some minutes for each kind on two cores.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import struct
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from PIL import Image

from learner_ray.core.sections import PixelSettings
from learner_ray.imaging import decoder_pool, gate, ingest
from tests.imaging.make_dicom import CLIP, moving_screen, write_dicom, write_series
from tests.imaging.make_scans import cohort_of, head, numbered_frames, write_nifti, write_picture, write_video

LIMIT_S = 60.0
"""Seconds after which a decoder counts as hung here."""
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def _video(codec: str, **how: Any) -> Callable[[Path], list[Path]]:
    return lambda path: [write_video(path, numbered_frames(8), codec=codec, **how)]


def _volume(path: Path) -> list[Path]:
    return [write_nifti(path, (100 * head((16, 18, 17))).astype(np.int16))]


def _mgh(path: Path) -> list[Path]:
    nibabel.save(nibabel.MGHImage(head((16, 18, 17)), np.eye(4)), path)
    return [path]


def _pair(path: Path) -> list[Path]:
    nibabel.save(nibabel.Nifti1Pair(head((16, 18, 17)), np.eye(4)), path)
    return [path, path.with_suffix(".img")]


def _itk(path: Path) -> list[Path]:
    import SimpleITK

    image = SimpleITK.GetImageFromArray((100 * head((16, 18, 17))).astype(np.int16))
    SimpleITK.WriteImage(image, str(path), useCompression=path.suffix in (".nrrd", ".mhd"))
    detached = path.suffix == ".mhd"
    return [path, path.with_suffix(".zraw")] if detached else [path]


def _picture(**how: Any) -> Callable[[Path], list[Path]]:
    def write(path: Path) -> list[Path]:
        pixels = np.random.default_rng(1).integers(0, 255, (48, 64), dtype=np.uint8)
        deep = pixels.astype(np.uint16) * 200 if how.get("compression") == "tiff_lzw" else pixels
        Image.fromarray(deep).save(path, **how)
        return [path]

    return write


def _dicom(**how: Any) -> Callable[[Path], list[Path]]:
    return lambda path: [write_dicom(path, moving_screen(6), sop_class=CLIP, **how)]


def _jpeg_dicom(path: Path) -> list[Path]:
    """A clip whose frames are JPEG, as most of ultrasound is."""
    from io import BytesIO

    from pydicom import dcmread
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    frames = moving_screen(6)
    write_dicom(path, frames, sop_class=CLIP)
    data, packed = dcmread(path), []
    for frame in frames:
        Image.fromarray(frame).save(stream := BytesIO(), "JPEG")
        packed.append(stream.getvalue())
    data.PixelData = encapsulate(packed)
    data["PixelData"].VR = "OB"
    data.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data.save_as(path, enforce_file_format=True)
    return [path]


def _series(path: Path) -> list[Path]:
    return write_series(path, (100 * head((12, 14, 4))).T.astype(np.uint16))


KINDS: dict[str, tuple[str, Callable[[Path], list[Path]]]] = {
    "mp4 (H.264)": ("a.mp4", _video("libx264")),
    "mov (MPEG-4)": ("a.mov", _video("mpeg4")),
    "mkv (H.264)": ("a.mkv", _video("libx264")),
    "webm (VP9)": ("a.webm", _video("libvpx-vp9")),
    "avi (MJPEG)": ("a.avi", _video("mjpeg", pix_fmt="yuvj420p")),
    "wmv (WMV2)": ("a.wmv", _video("wmv2")),
    "mpg (MPEG-2)": ("a.mpg", _video("mpeg2video")),
    "gif": ("a.gif", _video("gif", pix_fmt="rgb8")),
    "nii": ("a.nii", _volume),
    "nii.gz": ("a.nii.gz", _volume),
    "hdr + img": ("a.hdr", _pair),
    "mgh": ("a.mgh", _mgh),
    "mgz": ("a.mgz", _mgh),
    "mha": ("a.mha", _itk),
    "mhd + zraw": ("a.mhd", _itk),
    "nrrd (gzip)": ("a.nrrd", _itk),
    "png": ("a.png", lambda path: [write_picture(path, seed=1)]),
    "jpg": ("a.jpg", _picture()),
    "tif (16 bits, LZW)": ("a.tif", _picture(compression="tiff_lzw")),
    "tif (JPEG)": ("b.tif", _picture(compression="jpeg")),
    "bmp": ("a.bmp", _picture()),
    "webp": ("a.webp", _picture(lossless=True)),
    "dcm": ("a.dcm", _dicom()),
    "dcm (RLE)": ("b.dcm", _dicom(compressed=True)),
    "dcm (JPEG)": ("c.dcm", _jpeg_dicom),
    "MR series": ("series", _series),
}
"""By name: the file's name, and what writes an undamaged scan, whose files it returns."""


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """A file's content with one to four kinds of damage; most of it in the first 400 bytes."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            return b""
        reach = min(len(data), 400) if rng.random() < 0.6 else len(data)
        at = int(rng.integers(0, reach))
        some = int(rng.integers(1, 33))
        damage = rng.integers(0, 7)
        if damage == 0:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif damage == 1:
            data[at] = int(rng.integers(0, 256))
        elif damage == 2:
            value = EXTREMES[int(rng.integers(0, len(EXTREMES)))]
            form = "<>"[int(rng.integers(0, 2))] + ("I" if value > 0xFFFF else "HI"[int(rng.integers(0, 2))])
            word = struct.pack(form, value)
            data[at : at + len(word)] = word[: len(data) - at]
        elif damage == 3:
            del data[at : at + some]
        elif damage == 4:
            data[at:at] = rng.bytes(some)
        elif damage == 5:
            data[at:at] = data[at : at + some]
        elif rng.random() < 0.3:
            del data[int(rng.integers(0, len(data))) :]
    return _with_checksums(bytes(data)) if content.startswith(b"\x89PNG") else bytes(data)


def _with_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they now hold: else no damage reaches the decoder."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(data)


@dataclass
class Outcome:
    """What became of the damaged files of one kind."""

    counts: Counter[str] = field(default_factory=Counter)
    """Files read, refused, whose decoder died, or stood still."""
    seconds: float = 0.0
    """The longest that one took."""
    peak_mb: float = 0.0
    """The most memory that a decoder had."""
    died: list[str] = field(default_factory=list)
    """Reasons of those whose decoder died or stood still."""

    @property
    def row(self) -> str:
        cells = [f"{self.counts[each]:,}" for each in ("read", "refused", "died", "stood still")]
        return " | ".join([*cells, f"{self.seconds:.1f}", f"{self.peak_mb:,.0f}"])


def fuzz(
    name: str, write: Callable[[Path], list[Path]], folder: Path, mutations: int, seed: int = 0
) -> Outcome:
    """Damages a scan many times over, and puts all of them through the gate, together with a good one.

    Raises:
        Exception: what would end the sweep.
    """
    whole = folder / "whole"
    whole.mkdir(parents=True)
    sources = write(whole / name)
    scans: dict[str, Sequence[Path]] = {"good": [write_picture(folder / "good.png", seed=2)]}
    for number in range(mutations):
        rng = np.random.default_rng([seed, number, *name.encode()])
        scans[f"{number:04}"] = _damaged(sources, whole, folder / f"{number:04}", rng)
    outcome = _through_the_gate(scans)
    shutil.rmtree(folder)
    return outcome


def _damaged(sources: Sequence[Path], whole: Path, to: Path, rng: np.random.Generator) -> list[Path]:
    """Copies of a scan's files of which one is damaged."""
    chosen = int(rng.integers(0, len(sources)))
    copies = []
    for number, source in enumerate(sources):
        copy = to / source.relative_to(whole)
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        copy.write_bytes(mutated(content, rng) if number == chosen else content)
        copies.append(copy)
    return copies


def _through_the_gate(scans: dict[str, Sequence[Path]]) -> Outcome:
    outcome, read_scan = Outcome(), ingest.read_scan

    def watched(*request: Any) -> Any:
        begun = time.perf_counter()
        try:
            return read_scan(*request)
        finally:
            outcome.seconds = max(outcome.seconds, time.perf_counter() - begun)
            outcome.peak_mb = max(outcome.peak_mb, _peak_mb())

    ingest.read_scan = watched
    try:
        cohort = cohort_of(scans)
        gate.inspect(cohort, folds=(), skip_bad=True)
        decoded = gate.decode(cohort, PixelSettings(40), skip_bad=True, allow_duplicates=True)
        assert "good" in decoded.cache and decoded.oddities is not None
    finally:
        ingest.read_scan = read_scan
    for scan in scans.keys() - {"good"}:
        bad = decoded.cache.bad.get(scan)
        what = "read" if bad is None else _what(bad.reason)
        outcome.counts[what] += 1
        if what in ("died", "stood still"):
            outcome.died.append(bad.reason)
    return outcome


def _what(reason: str) -> str:
    if "ended its decoder" in reason or "was killed" in reason:
        return "died"
    return "stood still" if "was not decoded" in reason else "refused"


def _peak_mb() -> float:
    peaks = [0.0]
    for each in (*decoder_pool._idle, *decoder_pool._busy):
        try:
            status = Path(f"/proc/{each.process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        peaks += [int(found[1]) / 1000 for found in re.finditer(r"VmHWM:\s+(\d+)", status)]
    return max(peaks)


def _kinds(args: argparse.Namespace) -> dict[str, tuple[str, Callable[[Path], list[Path]]]]:
    kinds = {name: of for name, of in KINDS.items() if not args.kinds or name in args.kinds.split(",")}
    for source in sorted(args.also.rglob("*")) if args.also else []:
        if source.is_file() and source.suffix != ".md":

            def copy(path: Path, source: Path = source) -> list[Path]:
                shutil.copyfile(source, path)
                return [path]

            kinds[source.name] = (source.name, copy)
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000, help="of each kind")
    parser.add_argument("--kinds", default="", help="some of them, comma-separated")
    parser.add_argument("--also", type=Path, help="a folder with further files to damage")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.disable()
    decoder_pool.TIME_LIMIT_S = LIMIT_S
    print("| kind | read | refused | decoder died | stood still | s at most | MB at most |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["LEARNER_RAY_CACHE"] = str(Path(temporary) / "cache")
        for kind, (name, write) in _kinds(args).items():
            with decoder_pool.running():  # anew, so that the memory is that of this kind
                outcome = fuzz(name, write, Path(temporary) / "scans", args.mutations, args.seed)
            print(f"| {kind} | {outcome.row} |", flush=True)
            for reason, count in Counter(outcome.died).items():
                print(f"    {count} x {reason}", flush=True)


if __name__ == "__main__":
    main()
