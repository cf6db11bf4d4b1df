"""What the live view of a large study costs: its first page, a refresh, memory, its share of a sweep's time.

    python benchmarks/watch.py [--trials 10000] [--seconds 60]

A study of 10,000 trials (5 arms, 200 searches of 50, 12 epochs, halving) is run on the fake clock for nine
tenths of its time and laid into a results folder: run log, and of every run its progress. The view is the one
of `sweep --watch`, in a process of its own, asked by one browser every five seconds, while runs end in the
folder: one a second. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.overhead_ways import space
from learner_ray.cohort import Fold
from learner_ray.core.child import child_command, child_environment
from learner_ray.core.config import Config, TrainConfig
from learner_ray.core.locks import locked_file
from learner_ray.run.progress import selection_score
from learner_ray.run.provenance import git_sha, processor
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.callback import Callback
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.planned_run import FoldSearchSpec, SearchSettings
from learner_ray.study.run_log import RunLog
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm
from learner_ray.study.study_json import RUN_LOG, study_hash
from learner_ray.watch.server import REFRESH_S

ARMS, SEARCH, EPOCHS, DEVICES = 5, 50, 12, 64


def groups(trials: int) -> list[FoldSearchSpec]:
    """As many searches as it takes, in turn of each arm."""
    return [
        FoldSearchSpec(
            arm=Arm(
                name=f"arm-{number % ARMS}", label=f"Arm {number % ARMS}", seed_offset=f"{number % ARMS}"
            ),
            config=Config(train=TrainConfig(epochs=EPOCHS)),
            fixed=frozenset(),
            fold=Fold(
                repeat=number // ARMS // 2,
                fold=number // ARMS % 2,
                test=("a",),
                parts=(("b",), ("c",), ("d",), ("e",)),
            ),
            trials=SEARCH,
            settings=SearchSettings(seed=number, seeds=1, sampler="random"),
            source=Source(path="synthetic"),
        )
        for number in range(-(-trials // SEARCH))
    ]


def train(spec: RunSpec) -> Curve:
    """A learning curve that a formula gives."""
    level, times = -spec.config.train.lr, {"seconds/train": 1.0, "seconds/evaluate": 0.0}
    scores = ({} if spec.is_final else {"selection_score": level - 1 / e} for e in range(1, EPOCHS + 1))
    return Curve(
        rows=({"epoch": e, "train/loss": 1 / e, **s, **times} for e, s in enumerate(scores, start=1))
    )


def runner_of(trials: int, store: MemoryStore, *callbacks: Callback) -> StudyRunner:
    """The study's runner, with Optuna studies in memory."""

    def in_memory(name: str) -> optuna.Study:
        return optuna.create_study(direction="maximize")

    return StudyRunner(groups(trials), space, store, in_memory, callbacks=callbacks)


def lay_out(trials: int, out: Path, part: float) -> None:
    """Writes the results folder of a study of which a part has run."""
    out.mkdir(parents=True)
    whole = simulate(runner_of(trials, MemoryStore()), train, devices=DEVICES)
    store, until = MemoryStore(), part * whole.seconds
    runner = runner_of(trials, store, RunLog(out, price_per_hour=2.0))
    runner.callbacks[0].on_slots(DEVICES)
    simulate(runner, train, devices=DEVICES, until=until)
    for run_hash, run in store._runs.items():
        folder = out.parent / "runs" / run_hash
        folder.mkdir(parents=True)
        (folder / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in run.rows))
    study = dict.fromkeys(
        ("study", "cohort_hash", "split_hash", "trials", "folds", "repeats", "seeds", "space")
    )
    arms = [{"name": f"arm-{n}", "label": f"Arm {n}", "control": False} for n in range(ARMS)]
    study |= {"study": "large", "arms": arms, "selection_metric": "kappa on inner validation pairs"}
    study |= {"cohort": {"phantom": True}}
    (out / "study.json").write_text(json.dumps({**study, "hash": study_hash(study)}))


def ends(out: Path) -> int:
    """Lets five more runs end, as a sweep writes it; the number of runs under way."""
    lines = [json.loads(line) for line in (out / RUN_LOG).read_text().splitlines()]
    ended = {line["end"] for line in lines if "end" in line}
    running = [line for line in lines if "start" in line and line["start"] not in ended]
    with open(out / RUN_LOG, "a") as log:
        for line in running[:5]:
            rows = [json.loads(t) for t in (out.parent / "runs" / line["hash"] / "progress.jsonl").open()]
            score = max((selection_score(row) for row in rows), default=None)
            log.write(
                json.dumps(
                    {
                        "end": line["start"],
                        "hash": line["hash"],
                        "state": "complete",
                        "selection_score": score,
                        "best_epoch": 1,
                        "epochs": len(rows),
                        "device_seconds": 12.0,
                        "at": time.time(),
                    }
                )
                + "\n"
            )
    return len(running)


def used_by(process: int) -> tuple[float, float]:
    """Processor seconds of a process, and the most memory in MiB that it has held."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return ticks / os.sysconf("SC_CLK_TCK"), int(status["VmHWM"].split()[0]) / 1024


def watched(out: Path, seconds: float) -> dict[str, float]:
    """What the view of `sweep --watch` takes while a browser asks for it."""
    begun = time.perf_counter()
    command = [*child_command("learner_ray.watch.beside"), str(out)]
    view = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=child_environment(), text=True
    )
    assert view.stdout and view.stdin
    address = view.stdout.readline().strip()
    answered = time.perf_counter() - begun
    page = asked(address)
    found = {"start_s": answered, "first_page_s": page[0], "page_kib": page[1] / 1024}
    found["start_cpu_s"], _ = used_by(view.pid)
    refreshes, cpu, until = [], used_by(view.pid)[0], time.perf_counter() + seconds
    while time.perf_counter() < until:
        time.sleep(REFRESH_S)
        found["underway"] = ends(out)
        refreshes.append(asked(f"{address}parts")[0])
    wall = seconds + (time.perf_counter() - until)
    after, found["peak_mib"] = used_by(view.pid)
    found |= {"refresh_s": statistics.median(refreshes), "slowest_s": max(refreshes)}
    found |= {"cpu_s_per_s": (after - cpu) / wall, "refreshes": len(refreshes)}
    view.kill()
    return found


def asked(address: str) -> tuple[float, int]:
    """Seconds until an address has answered, and the bytes of the answer."""
    begun = time.perf_counter()
    with urllib.request.urlopen(address) as answer:
        size = len(answer.read())
    return time.perf_counter() - begun, size


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="for which the view is asked")
    parser.add_argument("--keep", type=Path, help="lays the folder there, and keeps it")
    parser.add_argument("--part", type=float, default=0.9, help="of the study that has run")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; commit {git_sha()}\n")
    with tempfile.TemporaryDirectory() as root:
        out = (args.keep or Path(root)) / "large"
        lay_out(args.trials, out, args.part)
        runs = len(list((out.parent / "runs").iterdir()))
        with locked_file(out / ".lock"):
            found = watched(out, args.seconds)
    cores = os.cpu_count() or 1
    share = f"{found['cpu_s_per_s']:.4f} s, {found['cpu_s_per_s'] / cores:.2%} of {cores} cores"
    seconds = f"{found['refresh_s']:.3f}, {found['slowest_s']:.3f} s"
    print(f"| {runs:,} runs begun | |\n|---|---|")
    print(f"| start of the process to the address | {found['start_s']:.2f} s |")
    print(f"| first page | {found['first_page_s']:.3f} s, {found['page_kib']:.0f} KiB |")
    print(f"| processor time until then | {found['start_cpu_s']:.2f} s |")
    print(f"| refresh, median and slowest of {found['refreshes']} | {seconds} |")
    print(f"| most memory | {found['peak_mib']:.0f} MiB |")
    print(f"| processor time per second | {share} |")


if __name__ == "__main__":
    main()
