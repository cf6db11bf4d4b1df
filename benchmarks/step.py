"""Our training step and epoch beside a plain trainer's, as ratios in one run.

    python benchmarks/step.py [--quick] [--trials 1] [--threads 1] [--rounds 5] [--size 112] [--frames 8]
        [--batch 8]

The plain trainer is written as reference code is: float32, NCHW, shift by concatenation, every clip decoded
at every access by the workers of a DataLoader. Both train the same network, loss and augmentation on the
same clips (640 x 480, 120 frames, h264). The trainers are processes that take turns, an epoch each; ratios
are medians over the rounds. One thread is what a trial of a sweep has, and ``--trials`` as many at a time as
there are cores is a sweep: alone, the plain trainer decodes on a core that nobody else uses. Where several
threads wait for each other they spin, and the processor's time says nothing. Prints Markdown; two minutes on
two cores, one with --quick.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.processes import peak_rss_gib, processor_seconds
from learner_ray.run.provenance import git_sha, processor

ROOT = Path(__file__).resolve().parents[1]
PATIENTS, VISITS = 6, 4
WIDTH, HEIGHT, FRAMES = 640, 480, 120
OURS, NO_SHIFT, PLAIN, PLAIN_STEP = "ours", "ours without shift", "plain", "plain, pixels ready"
TRAINERS = (OURS, NO_SHIFT, PLAIN_STEP, PLAIN)


def write_clips(folder: Path, patients: int) -> Path:
    """Clips of drifting speckle and a manifest of them."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    lines = ["path,patient,date,score"]
    for patient in range(patients):
        for visit in range(VISITS):
            name = f"p{patient}-{visit}.mp4"
            speckle = rng.integers(0, 255, (HEIGHT // 8, WIDTH // 8), np.uint8).repeat(8, 0).repeat(8, 1)
            with av.open(str(folder / name), "w") as container:
                stream = container.add_stream("h264", rate=25, options={"threads": "1"})
                stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
                for frame in range(FRAMES):
                    grey = np.roll(speckle, 2 * frame, axis=1)
                    image = av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=2), format="rgb24")
                    container.mux(stream.encode(image))
                container.mux(stream.encode())
            score = 450 - 50 * int(rng.integers(0, 7))
            lines.append(f"{name},p{patient},2024-0{visit + 1}-01,{score}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


class Trainer:
    """Processes of one trainer side by side; each trains an epoch when they are told to."""

    def __init__(self, name: str, options: dict[str, object], count: int) -> None:
        command = [sys.executable, str(ROOT / "benchmarks/step_trainers.py"), name, json.dumps(options)]
        self._children = [
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            for _ in range(count)
        ]
        self.facts = self._answers()[0]
        self.peak_gib = 0.0

    def epoch(self) -> dict[str, float]:
        """Trains one: ``wall`` seconds until all have, those of the ``processor``, ``images``, and the share
        of their time ``waiting`` for data."""
        pids = [child.pid for child in self._children]
        before, begun = sum(map(processor_seconds, pids)), time.perf_counter()
        for child in self._children:
            assert child.stdin is not None
            child.stdin.write("epoch\n")
            child.stdin.flush()
        told = self._answers()
        wall, after = time.perf_counter() - begun, sum(map(processor_seconds, pids))
        self.peak_gib = max(map(peak_rss_gib, pids))
        waiting = sum(answer["waiting"] for answer in told) / len(told) / wall
        images = sum(answer["images"] for answer in told)
        return {"wall": wall, "processor": after - before, "waiting": waiting, "images": images}

    def _answers(self) -> list[dict[str, float]]:
        answers = []
        for child in self._children:
            assert child.stdout is not None
            line = child.stdout.readline()
            if not line:
                raise SystemExit(f"a trainer ended with exit code {child.wait()}")
            answers.append(json.loads(line))
        return answers

    def close(self) -> None:
        for child in self._children:
            assert child.stdin is not None
            child.stdin.close()
            child.wait()


Round = dict[str, dict[str, float]]
"""What each trainer told of its epoch."""


def ratio(rounds: list[Round], above: str, below: str, what: str) -> float:
    """The median over the rounds of one trainer's seconds against another's."""
    return median(told[above][what] / told[below][what] for told in rounds)


def compare(options: dict[str, object], rounds: int, count: int) -> tuple[list[Round], dict[str, Trainer]]:
    """Lets all trainers take turns, after an epoch each to warm up."""
    trainers = {name: Trainer(name, options, count) for name in TRAINERS}
    for trainer in trainers.values():
        trainer.epoch()
    told = [{name: trainer.epoch() for name, trainer in trainers.items()} for _ in range(rounds)]
    for trainer in trainers.values():
        trainer.close()
    return told, trainers


def show(told: list[Round], trainers: dict[str, Trainer]) -> None:
    """Prints the ratios, and what ours waits for, reaches and takes."""
    print("| | by the clock | by the processor's time |")
    print("|---|---|---|")
    for label, above, below in (
        ("step, plain without its data / ours with", PLAIN_STEP, OURS),
        ("epoch, plain with decoding at every access / ours", PLAIN, OURS),
        ("step, shift / no shift", OURS, NO_SHIFT),
    ):
        cells = [f"{ratio(told, above, below, what):.3f}" for what in ("wall", "processor")]
        print(f"| {label} | {' | '.join(cells)} |")
    waiting = [f"{median(t[name]['waiting'] for t in told):.1%}" for name in (OURS, PLAIN)]
    images = median(t[OURS]["images"] / t[OURS]["wall"] for t in told)
    tflops = images * trainers[OURS].facts["gflop"] / 1000
    print(f"\nWaiting for data: {waiting[0]} of an epoch in ours, {waiting[1]} in the plain one.")
    print(f"Ours: {images:.0f} frames/s, {tflops:.3f} TFLOP/s.")
    memory = ", ".join(f"{name} {trainer.peak_gib:.2f}" for name, trainer in trainers.items())
    print(f"Highest resident memory, workers included, in GiB: {memory}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few clips and rounds, small frames")
    defaults = {"trials": 1, "threads": 1, "rounds": 5, "size": 112, "frames": 8, "batch": 8}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.size = 2, 64
    patients = 2 if args.quick else PATIENTS
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["LEARNER_RAY_CACHE"] = f"{temporary}/cache"
        manifest = write_clips(Path(temporary) / "clips", patients)
        told, trainers = compare({**vars(args), "manifest": str(manifest)}, args.rounds, args.trials)
    facts = trainers[OURS].facts
    print(f"{processor()}, {os.cpu_count()} cores, load {load:.1f} before;")
    print(f"{args.trials} at a time, {args.threads} threads each;")
    print(f"{facts['device']}, ours in {facts['precision']}, commit {git_sha()};")
    print(f"{patients * VISITS} clips of {FRAMES} frames {WIDTH} x {HEIGHT}, seen as {args.frames} frames")
    print(f"{args.size} x {args.size}, {args.batch} clips a step\n")
    show(told, trainers)


if __name__ == "__main__":
    main()
