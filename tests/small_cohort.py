"""A cohort small enough to train on in seconds, written as real files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PATIENTS = 12
VISITS = 4


def write_clip(path: Path, bars: int, rng: np.random.Generator, size: int = 48, frames: int = 8) -> None:
    """A noisy clip with bright vertical bars, as many as the patient is ill."""
    import av  # here: the tests of a GPU that need no clip run without it

    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=25, options={"crf": "18", "threads": "1"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        columns = rng.choice(np.arange(4, size - 4, 5), bars, replace=False)
        for _ in range(frames):
            image = rng.normal(60, 20, (size, size))
            for column in columns:
                image[:, column : column + 2] += 120
            grey = np.clip(image, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(grey[..., None], 3, 2), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_cohort(
    folder: Path, patients: int = PATIENTS, visits: int = VISITS, *, seed: int = 0, ids: str = "p"
) -> Path:
    """A manifest of patients whose S/F ratio falls by 50 with every bar; all three classes are common."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,patient,date,score"]
    for patient in range(patients):
        bars = np.cumsum([rng.integers(2, 5), *rng.permutation([-1, 0, 1] * visits)[: visits - 1]])
        for visit, count in enumerate(np.clip(bars, 0, 7)):
            name = f"p{patient}-{visit}.mp4"
            write_clip(folder / name, int(count), rng)
            lines.append(f"{name},{ids}{patient},2024-0{visit + 1}-1{patient % 10},{450 - 50 * int(count)}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest
