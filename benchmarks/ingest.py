"""Reading a cohort into the pixel cache: seconds, memory and disk; one more scan; a kill; two at once.

    python benchmarks/ingest.py [--scans 2000] [--size 112] [--width 160] [--height 120] [--frames 30]
        [--code FOLDER]

Every step is a process of its own that puts the cohort through the gate, as a sweep does, and counts the
scans that it decodes. ``--code`` measures another checkout. Prints Markdown; three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # last: a child has --code before it

from benchmarks.processes import peak_rss_gib
from learner_ray.core.sections import PixelSettings
from learner_ray.run.provenance import processor

ROOT = Path(__file__).resolve().parents[1]
VISITS = 4


def write_clips(folder: Path, scans: int, width: int, height: int, frames: int) -> None:
    """Clips of drifting speckle, each of its own, and two manifests: of all but the last one, and of all."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    lines = ["path,patient,visit,score"]
    for number in range(scans + 1):
        speckle = rng.integers(0, 255, (height // 8, width // 8), np.uint8).repeat(8, 0).repeat(8, 1)
        name, visit = f"{number:06}.mp4", number % VISITS
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("h264", rate=25, options={"threads": "1", "preset": "ultrafast"})
            stream.height, stream.width = speckle.shape
            stream.pix_fmt = "yuv420p"
            for shift in range(frames):
                image = av.VideoFrame.from_ndarray(np.roll(speckle, 2 * shift, axis=1), format="gray")
                container.mux(stream.encode(image.reformat(format="yuv420p")))
            container.mux(stream.encode())
        lines.append(f"{name},p{number // VISITS},{visit},{300 + 50 * (visit in (1, 2))}")
    (folder / "all.csv").write_text("\n".join(lines) + "\n")
    (folder / "most.csv").write_text("\n".join(lines[:-1]) + "\n")


def read(manifest: str, size: int) -> None:
    """Reads a cohort in this process, and prints a line for each scan and one of JSON."""
    from learner_ray.cohort import load
    from learner_ray.imaging import gate, ingest

    decoded, read_scan = [], ingest.read_scan

    def counting(*args: Any) -> Any:
        decoded.append(1)
        return read_scan(*args)

    ingest.read_scan = counting
    cohort = load(manifest, modality="lus")
    begun = time.perf_counter()
    gate.decode(cohort, PixelSettings(size), progress=lambda done, count: print(done, flush=True))
    told = {"seconds": time.perf_counter() - begun, "decoded": len(decoded), "gib": peak_rss_gib(os.getpid())}
    print(json.dumps(told))


class Reader:
    """A process that reads a cohort.

    Args:
        manifest: lists it.
        cache: the folder for decoded pixels.
        args: the command line, with ``size`` and ``code``.
    """

    def __init__(self, manifest: Path, cache: Path, args: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "--read", str(manifest), "--size", str(args.size)]
        env = {"LEARNER_RAY_CACHE": str(cache), "PYTHONPATH": args.code, "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, env=os.environ | env)

    def kill_after(self, scans: int) -> None:
        """Kills it when so many scans are done."""
        assert self._child.stdout is not None
        while int(self._child.stdout.readline()) < scans:
            pass
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def told(self) -> dict[str, float]:
        """What it says at its end: ``seconds``, scans ``decoded`` and the peak of its memory in ``gib``."""
        out, _ = self._child.communicate()
        if self._child.returncode:
            raise SystemExit(self._child.returncode)
        told: dict[str, float] = json.loads(out.splitlines()[-1])
        return told


def show(step: str, told: dict[str, float], cache: Path) -> None:
    """Prints a step as a row of the table."""
    files = [path for path in (cache / "pixels").rglob("*") if path.is_file() and path.suffix != ".lock"]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    cells = [f"{told['decoded']:,}", f"{told['seconds']:.1f}", f"{told['gib']:.2f}", f"{megabytes:,.0f}"]
    print(f"| {step} | {' | '.join(cells)} | {len(files)} |", flush=True)


def steps(folder: Path, args: argparse.Namespace) -> None:
    """Reads the cohort in several ways and prints the table."""
    most, everything = folder / "clips" / "most.csv", folder / "clips" / "all.csv"
    cache, killed, both = folder / "cache", folder / "killed", folder / "both"
    print("| | scans decoded | s | GiB at most | MB on disk | files |\n|---|---|---|---|---|---|")
    show(f"{args.scans:,} scans", Reader(most, cache, args).told(), cache)
    show("again", Reader(most, cache, args).told(), cache)
    show("one more", Reader(everything, cache, args).told(), cache)
    Reader(most, killed, args).kill_after(args.scans // 2)
    show("after kill -9 at half", Reader(most, killed, args).told(), killed)
    for reader in [Reader(most, both, args), Reader(most, both, args)]:
        show("one of two at once", reader.told(), both)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    defaults = {"scans": 2000, "size": 112, "width": 160, "height": 120, "frames": 30}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--code", default=str(ROOT), help="another checkout to measure")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        read(args.read, args.size)
        return
    commit = subprocess.check_output(["git", "-C", args.code, "rev-parse", "--short", "HEAD"], text=True)
    load = os.getloadavg()[0]
    print(f"{processor()}, {os.cpu_count()} cores, load {load:.1f} before, commit {commit.strip()}")
    print(f"{args.scans:,} clips of {args.frames} frames {args.width} x {args.height} to {args.size} px\n")
    with tempfile.TemporaryDirectory() as temporary:
        write_clips(Path(temporary) / "clips", args.scans, args.width, args.height, args.frames)
        steps(Path(temporary), args)


if __name__ == "__main__":
    main()
