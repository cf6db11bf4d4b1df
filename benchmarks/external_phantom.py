"""Makes a phantom cohort of another place: other patients, other sites, another scanner.

python benchmarks/external_phantom.py --out elsewhere          # elsewhere/manifest.csv, for --test-data

The scanner compresses grey values (gamma), has less resolution and a gain that falls with depth; what the
score looks like is the same. So an encoder that has learnt the score should lose little, and one that has
learnt grey values much.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import av
import numpy as np
from scipy.ndimage import gaussian_filter

from learner_ray.cohort.sidecar import sidecar_path
from learner_ray.imaging.phantoms import write_phantom

GAMMA, BLUR, FALL = 0.7, 0.8, 0.35
"""Exponent of grey values, SD of the blur in pixels, share of the gain lost from top to bottom."""
PREFIX = "elsewhere-"


def rescan(path: Path) -> None:
    """Replaces a clip by what the other scanner makes of it."""
    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    gain = np.linspace(1, 1 - FALL, frames[0].shape[0])[:, None]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "20", "threads": "1"})
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            grey = 255 * gain * (gaussian_filter(frame / 255.0, BLUR) ** GAMMA)
            picture = av.VideoFrame.from_ndarray(np.clip(grey, 0, 255).astype(np.uint8), format="gray")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def main() -> None:
    """Makes the cohort that the command line describes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="another than 0, the default cohort's")
    options = parser.parse_args()
    manifest = write_phantom("lus", options.out, patients=options.patients, seed=options.seed)
    for clip in sorted(options.out.glob("scans/*.mp4")):
        rescan(clip)
    with open(manifest, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row |= {"patient": PREFIX + row["patient"], "site": "elsewhere", "device": "convex Z"}
    with open(manifest, "w", newline="") as stream:
        table = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    sidecar = sidecar_path(manifest)
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "name": "lus-phantom-elsewhere"}))
    print(f"{manifest}: {len(rows)} scans")


if __name__ == "__main__":
    main()
