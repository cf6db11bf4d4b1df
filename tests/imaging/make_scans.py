"""Small scans and cohorts of them, for tests of any room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from learner_ray.cohort import SF_RATIO, Cohort
from learner_ray.cohort.cohort import Scan, scan_table

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def numbered_frames(count: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Frames (T, H, W), each with its number in six bars, black or white, that survive any codec."""
    bits = np.arange(count)[:, None] >> np.arange(6) & 1
    bars = np.repeat(bits * 200 + 20, width // 6, axis=1).astype(np.uint8)
    return np.repeat(bars[:, None], height, axis=1)


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    """The numbers that ``numbered_frames`` wrote, from frames (T, size, size)."""
    middle = frames[:, frames.shape[1] // 2]
    bars = middle.reshape(len(frames), 6, -1).mean(2) > 120
    return [int(number) for number in bars @ (1 << np.arange(6))]


def write_video(
    path: Path,
    frames: NDArray[np.uint8],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    pixel_aspect: int = 1,
    title: str = "",
) -> Path:
    """Grey frames (T, H, W) as a video; the suffix names the container."""
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=25, options=dict(options or {}))
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = pix_fmt
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        for frame in frames:
            rgb = np.repeat(frame[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_nifti(path: Path, voxels: NDArray[np.generic], affine: NDArray[np.float64] | None = None) -> Path:
    """Voxels as NIfTI; by default 1 mm in RAS+."""
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
    return path


def head(shape: tuple[int, int, int] = (40, 48, 44)) -> NDArray[np.float32]:
    """A bright ellipsoid in an empty box, brighter to the right, the front and the top."""
    axes = np.meshgrid(*(np.linspace(-1, 1, length) for length in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.5
    value = 100 + 10 * axes[0] + 20 * axes[1] + 30 * axes[2]
    return np.where(inside, value, 0).astype(np.float32)


def person(
    zooms: tuple[float, float, float] = (3.0, 3.0, 3.0),
    below: float = 60.0,
    around: tuple[float, float, float] = (20.0, 20.0, 20.0),
    scale: float = 1.0,
) -> NDArray[np.float32]:
    """Voxels of a head on a neck: a bright ellipsoid with a dark ventricle, as tall as 150 mm.

    Args:
        zooms: sides of a voxel in mm.
        below: mm of neck below the head.
        around: mm of air at the left and right, at front and back, and above.
        scale: of the head.
    """
    half = np.array([70.0, 90.0, 75.0]) * scale
    low = [-half[0] - around[0], -half[1] - around[1], -half[2] - below]
    high = [*(half + around)[:2], half[2] + around[2]]
    lengths = [round((b - a) / zoom) for a, b, zoom in zip(low, high, zooms, strict=True)]
    sides = [a + (np.arange(n) + 0.5) * zoom for a, n, zoom in zip(low, lengths, zooms, strict=True)]
    x, y, z = np.meshgrid(*sides, indexing="ij")
    skull = (x / half[0]) ** 2 + (y / half[1]) ** 2 + (z / half[2]) ** 2
    values = np.where(skull < 1, 100.0 + 0.3 * y, 0.0)
    values[(x / 20) ** 2 + ((y - 5) / 35) ** 2 + ((z - 10) / 20) ** 2 < scale**2] = 20
    values[((x**2 + (y + 15) ** 2) < 55**2) & (z < -half[2] / 2) & (skull >= 1)] = 80
    found: NDArray[np.float32] = values.astype(np.float32)
    return found


def write_picture(path: Path, seed: int, size: int = 48) -> Path:
    """A picture of noise; all of one side length have the same number of bytes."""
    pixels = np.random.default_rng(seed).integers(20, 255, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=0)
    return path


def write_listed(folder: Path, patients: int = 8, scores: Sequence[int] = (300, 350, 350, 300)) -> Path:
    """A manifest of pictures, one a visit; by default each patient gets better, stays and gets worse."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,patient,visit,score"]
    for patient in range(patients):
        for visit, score in enumerate(scores, start=1):
            name = f"p{patient}-{visit}.png"
            write_picture(folder / name, seed=10 * patient + visit)
            lines.append(f"{name},p{patient},{visit},{score}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def cohort_of(files: Mapping[str, Sequence[Path | str]]) -> Cohort:
    """A cohort of scan ids with their files, each of a patient of its own, listed from row 2 on."""
    scans = [
        Scan(
            scan=scan,
            files=tuple(map(str, paths)),
            patient=f"patient-{scan}",
            visit="1",
            order=1.0,
            score=300.0,
            source="manifest.csv",
            row=row,
        )
        for row, (scan, paths) in enumerate(files.items(), start=2)
    ]
    return Cohort(name="made", modality="lus", score=SF_RATIO, scans=scan_table(scans))
