"""What a trial costs beyond its training: this engine beside Tune, Tune -> TorchTrainer and Optuna + joblib.

    python benchmarks/overhead.py [--quick] [--slots 2]

All train the same runs with the same code; each way and kind has a process of its own. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.processes import peak_pss_gib
from learner_ray.cohort import Fold
from learner_ray.core.config import Config, TrainConfig
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.run.provenance import git_sha, processor
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.planned_run import FoldSearchSpec, SearchSettings
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm, Suggest

ROOT = Path(__file__).resolve().parents[1]
OURS, TUNE, DOCUMENTED, JOBLIB = "ours", "Tune, reuse_actors=True", "Tune -> TorchTrainer", "Optuna + joblib"
TRIALS = {"no-op": 40, "1 s": 24, "real": 12}
QUICK_TRIALS = {"no-op": 8, "1 s": 8, "real": 4}
MANY, QUICK_MANY = 2000, 100


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One way's runs of one kind."""

    trials: int
    start_s: float
    """Of Ray, before the study."""
    wall_s: float
    per_trial: float
    """Slot-seconds beyond the training, after every slot's first trial."""
    training_s: float
    """Mean busy seconds of a trial."""
    memory: dict[str, float]
    """Highest PSS in GiB: ``driver``, ``workers``, ``others``."""


def measure(way: str, kind: str, trials: int, slots: int, manifest: Path) -> Measured:
    """Runs one way in a process of its own and watches its memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "benchmarks/overhead_ways.py"), way, kind]
        errors = Path(folder) / "stderr.txt"
        with open(errors, "w") as stream:
            child = subprocess.Popen(
                [*command, str(trials), str(slots), str(manifest), folder],
                stdout=subprocess.DEVNULL,
                stderr=stream,
                env={**os.environ, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"},
            )
            memory = peak_pss_gib(child, kind_of_process)
        if child.returncode:
            raise SystemExit(f"{way}, {kind}: exit {child.returncode}\n{errors.read_text()[-2000:]}")
        result = json.loads((Path(folder) / "result.json").read_text())
        intervals = read_intervals(Path(folder) / "runs")
    return Measured(
        trials=len(intervals),
        start_s=result["ray_start"],
        wall_s=result["ended"] - result["begun"],
        per_trial=overhead(intervals, slots),
        training_s=sum(end - begin for run in intervals for _, begin, end in run) / len(intervals),
        memory=memory,
    )


Intervals = list[list[tuple[int, float, float]]]
"""Per run, when it kept its device busy: process, begin and end."""


def read_intervals(runs: Path) -> Intervals:
    files = runs.glob("*/busy.jsonl")
    return [[tuple(json.loads(line)) for line in file.read_text().splitlines()] for file in files]


def overhead(intervals: Intervals, slots: int) -> float:
    """Idle slot-seconds per trial, from when every slot had a process until the last trial began."""
    processes: dict[int, float] = {}
    for run in intervals:
        for process, begin, _ in run:
            processes[process] = min(begin, processes.get(process, begin))
    # Where trials are short one process may have done them all before the next was up.
    slots = min(slots, len(processes))
    since = sorted(processes.values())[slots - 1]
    starts = [min(begin for _, begin, _ in run) for run in intervals]
    until = max(starts)
    training = sum(
        max(0.0, min(end, until) - max(begin, since)) for run in intervals for _, begin, end in run
    )
    counted = sum(since < start <= until for start in starts)
    return (slots * (until - since) - training) / max(counted, 1)


def kind_of_process(is_root: bool, command: str) -> str:
    """The driver, a worker that trains, or another."""
    if is_root:
        return "driver"
    trains = "loky" in command or (
        "ray::" in command
        and not {"ray::IDLE", "ray::DashboardAgent", "ray::RuntimeEnvAgent"} & {*command.split()}
    )
    return "workers" if trains else "others"


def simulated(trials: int, devices: int) -> tuple[float, float, int]:
    """Seconds and processor seconds that a study takes on the fake clock, and how many trials it has."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    groups = [
        FoldSearchSpec(
            arm=Arm(name="mse", label="MSE"),
            config=Config(train=TrainConfig(epochs=12)),
            fixed=frozenset(),
            fold=Fold(repeat=number, fold=0, test=("a",), parts=(("b",), ("c",), ("d",), ("e",))),
            trials=trials // devices,
            settings=SearchSettings(seed=0, seeds=1),
            source=Source(path="synthetic"),
        )
        for number in range(devices)
    ]

    def space(suggest: Suggest, config: Config) -> None:
        suggest.real("train.lr", 3e-4, 3e-3, log=True)
        suggest.real("train.weight_decay", 1e-3, 1e-1, log=True)

    def train(spec: RunSpec) -> Curve:
        lr = spec.config.train.lr
        times = {"seconds/train": 1.0, "seconds/evaluate": 0.0}
        return Curve(rows=({"epoch": e, "selection_score": -lr - 1 / e, **times} for e in range(1, 13)))

    begun, processor_begun = time.perf_counter(), time.process_time()
    study = StudyRunner(groups, space, MemoryStore(), lambda _: optuna.create_study(direction="maximize"))
    simulate(study, train, devices=devices)
    seconds, processor_s = time.perf_counter() - begun, time.process_time() - processor_begun
    return seconds, processor_s, sum(not outcome.planned.final for outcome in study.outcomes)


def table_of_ways(kind: str, found: dict[str, Measured], slots: int) -> str:
    """Overhead, wall and memory of every way, and the ratios to ours."""
    lines = [
        f"**{kind}** trials (training {found[OURS].training_s:.2f} s in ours), {slots} at a time\n",
        "| way | trials | slot-s per trial beyond training | x ours | wall s | x joblib | Ray's start s "
        "| GiB per running trial | GiB driver |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for way, m in found.items():
        same = m.trials == found[JOBLIB].trials
        cells = [
            way,
            str(m.trials),
            f"{m.per_trial:.3f}",
            f"{m.per_trial / found[OURS].per_trial:.2f}",
            f"{m.wall_s:.1f}",
            f"{m.wall_s / found[JOBLIB].wall_s:.2f}" if same else "-",
            "-" if way == JOBLIB else f"{m.start_s:.1f}",
            f"{m.memory.get('workers', 0) / slots:.2f}",
            f"{m.memory['driver']:.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few trials")
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    args = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start;")
    print(f"Python {platform.python_version()}, commit {git_sha()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["LEARNER_RAY_CACHE"] = f"{temporary}/cache"
        manifest = write_phantom("lus", Path(temporary) / "cohort", patients=12)
        for kind, trials in (QUICK_TRIALS if args.quick else TRIALS).items():
            few = 2 * args.slots
            counts = {OURS: trials, TUNE: trials, DOCUMENTED: few, JOBLIB: trials}
            found = {way: measure(way, kind, n, args.slots, manifest) for way, n in counts.items()}
            print(table_of_ways(kind, found, args.slots) + "\n", flush=True)
        many = measure(OURS, "no-op", QUICK_MANY if args.quick else MANY, args.slots, manifest)
    rate, driver = many.trials / many.wall_s, many.memory["driver"]
    print(f"{many.trials} no-op trials: {rate:.1f} per second, driver {driver:.2f} GiB at most")
    devices = 100 if args.quick else 1000
    seconds, processor_s, trials = simulated(10 * devices, devices)
    print(
        f"{trials} trials on {devices} devices of the fake clock: {seconds:.0f} s ({processor_s:.0f} s CPU)"
    )


if __name__ == "__main__":
    main()
