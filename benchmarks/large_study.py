"""What a large study asks of its driver: time and memory, and how they grow with the number of trials.

    python benchmarks/large_study.py [--simulated 1000,10000] [--written 1000,3000] [--through-ray 200]

First, studies on 1,000 devices of the fake clock (groups of 48 trials, halving, 12 epochs). Then results
folders written by runs that train nothing (groups of 50 trials, 4 epochs, by a formula; no Ray), with the
tables, journal, curves and progress of a sweep; each is resumed by a process that knows nothing of it, and
reported. At last runs of one epoch through Ray Tune on two slots. Times are processor time, since others may
use the machine. Each study has a process of its own. Prints Markdown.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import os
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.overhead_ways import made_up_study, space
from learner_ray.cohort import Fold
from learner_ray.core.config import Config, TrainConfig
from learner_ray.engine.connection import start_local
from learner_ray.engine.progress import Progress
from learner_ray.engine.searcher import RunSearcher, TunePruner
from learner_ray.engine.tuning import run_study
from learner_ray.imaging.phantoms import write_phantom
from learner_ray.imaging.source import open_cohort
from learner_ray.run.folder import RunStore
from learner_ray.run.provenance import git_sha, processor
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.journal import optuna_studies
from learner_ray.study.ledger import LedgerWriter
from learner_ray.study.plan import Plan, make_plan
from learner_ray.study.planned_run import FoldSearchSpec, SearchSettings
from learner_ray.study.profiles import Size
from learner_ray.study.record import record
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm
from learner_ray.tracking.curves import Curves
from tests.formula_runs import FormulaRun, FormulaTrainable

ROOT = Path(__file__).resolve().parents[1]
DEVICES, EPOCHS, GROUP = 1000, 12, 48
ARMS, FOLDS, TRIALS, WRITTEN_EPOCHS = 5, 2, 50, 4
Found = dict[str, Any]


def simulated(trials: int, sampler: str) -> Found:
    """A study on the fake clock."""
    groups = [
        FoldSearchSpec(
            arm=Arm(name="mse", label="MSE"),
            config=Config(train=TrainConfig(epochs=EPOCHS)),
            fixed=frozenset(),
            fold=Fold(repeat=number, fold=0, test=("a",), parts=(("b",), ("c",), ("d",), ("e",))),
            trials=GROUP,
            settings=SearchSettings(seed=0, seeds=1, sampler=sampler),
            source=Source(path="synthetic"),
        )
        for number in range(-(-trials // GROUP))
    ]

    def train(spec: RunSpec) -> Curve:
        level, times = -spec.config.train.lr, {"seconds/train": 1.0, "seconds/evaluate": 0.0}
        rows = ({"epoch": e, "selection_score": level - 1 / e, **times} for e in range(1, EPOCHS + 1))
        return Curve(rows=rows)

    begun = time.process_time()
    runner = StudyRunner(groups, space, MemoryStore(), lambda _: optuna.create_study(direction="maximize"))
    simulate(runner, train, devices=DEVICES)
    ms = 1000 * (time.process_time() - begun) / (GROUP * len(groups))
    return {"trials": GROUP * len(groups), "groups": len(groups), "ms": ms, "gib": peak_gib()}


def plan_of(trials: int, manifest: Path, epochs: int, sampler: str) -> Plan:
    """A study of five equal arms and as many repeats as it takes."""
    source = Source(path=str(manifest))
    cohort = open_cohort(source)
    names = [f"arm-{number}" for number in range(ARMS)]
    study = made_up_study("large", [Arm(name=name, label=name, seed_offset=name) for name in names])
    plan = make_plan(
        study,
        cohort,
        replace(source, cohort_hash=cohort.hash),
        profile="benchmark",
        size=Size(folds=FOLDS, repeats=-(-trials // (ARMS * FOLDS * TRIALS)), seeds=1, trials=TRIALS),
        arms=names,
        edits={"data.image_size": 64, "data.frames": 4, "train.epochs": epochs},
        precision="float32",
        seed=0,
        threads=1,
        pruner="halving",
    )
    settings = replace(plan.settings, sampler=sampler)
    return replace(plan, groups=[replace(group, settings=settings) for group in plan.groups])


def runner_of(plan: Plan, out: Path) -> tuple[StudyRunner, LedgerWriter]:
    """The runner with all that a sweep writes."""
    out.mkdir(parents=True, exist_ok=True)
    store, ledger = RunStore(out.parent), LedgerWriter(plan, out)
    curves = Curves(out / "tensorboard", store, plan.space, [arm.name for arm in plan.arms])
    callbacks = [Progress(plan.runs_per_arm), curves, ledger]
    return StudyRunner(plan.groups, space, store, optuna_studies(out), callbacks=callbacks), ledger


def written(plan: Plan, out: Path) -> Found:
    """Writes a study whose runs end one after the other; the time of the runs themselves is not counted."""
    clock = Stopwatch()
    with clock:
        runner, ledger = runner_of(plan, out)
        record(plan, out, [], command="benchmarks/large_study.py")
    for _ in range(plan.runs):
        with clock:
            planned = runner.next_run()
            assert planned is not None
            folder = runner.store.folder(planned.spec.hash)
            folder.write_spec(planned.spec)
        run, goes_on = FormulaRun(folder), True
        while goes_on and (row := run.advance()) is not None:
            with clock:
                goes_on = runner.row(planned, row)
        with clock:
            runner.ended(planned)
    assert runner.is_done
    with clock:
        ledger.write()
    files = [path.stat() for path in out.parent.rglob("*") if path.is_file()]
    in_runs = sum(path.is_file() for path in (out.parent / "runs").rglob("*"))
    return {
        "runs": plan.runs,
        "groups": len(plan.groups),
        "ms": 1000 * clock.seconds / plan.runs,
        "gib": peak_gib(),
        "files": in_runs / plan.runs,
        "kib": sum(file.st_blocks for file in files) / 2 / plan.runs,
        "curves": sum(1 for _ in (out / "tensorboard").rglob("events.*")),
    }


def resumed(plan: Plan, out: Path) -> Found:
    """Takes in a study that is complete, by a process that knows nothing of it."""
    begun = time.process_time()
    runner, ledger = runner_of(plan, out)
    assert runner.resume()
    seconds = time.process_time() - begun
    ledger.write()
    return {"s": seconds, "tables": time.process_time() - begun - seconds, "gib": peak_gib()}


def reported(out: Path) -> Found:
    """Writes the report, as a user would."""
    command = [sys.executable, str(ROOT / "analysis/report.py"), str(out), "--out", str(out.parent / "page")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"the report ended with {os.waitstatus_to_exitcode(status)}")
    return {"s": usage.ru_utime + usage.ru_stime, "gib": usage.ru_maxrss / 2**20}


def through_ray(plan: Plan, out: Path) -> Found:
    """Runs a study through Ray Tune on two slots."""
    start_local(2)
    runner, _ = runner_of(plan, out)
    begun, processor_begun, profile = (
        time.monotonic(),
        time.process_time(),
        cProfile.Profile(time.process_time),
    )
    profile.runcall(
        run_study,
        runner,
        scratch=out / ".tune",
        max_concurrent=2,
        resources={"cpu": 1},
        trainable=FormulaTrainable,
    )
    wall, used = time.monotonic() - begun, time.process_time() - processor_begun
    stats = pstats.Stats(profile)
    rows: dict[Any, Any] = stats.stats  # type: ignore[attr-defined]
    ours = (RunSearcher.suggest, RunSearcher.on_trial_complete, TunePruner.on_trial_result)
    of_ours = {function.__code__: function.__name__ for function in ours}
    named = {(c.co_filename, c.co_firstlineno, c.co_name): name for c, name in of_ours.items()}
    return {
        "runs": plan.runs,
        "wall": wall,
        "driver_ms": 1000 * used / plan.runs,
        "ours": {named[key]: 1000 * row[3] / plan.runs for key, row in rows.items() if key in named},
        "most": [
            f"{Path(key[0]).name}:{key[2]} {1000 * row[3] / plan.runs:.1f}"
            for key, row in sorted(rows.items(), key=lambda item: -item[1][3])[:40]
        ],
    }


class Stopwatch:
    """Adds up the processor time spent within it."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.process_time() - self._begun


def peak_gib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def apart(*words: object) -> Found:
    """What one part finds in a process of its own."""
    command = [sys.executable, __file__, "--part", *map(str, words)]
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Found = json.loads(child.stdout.splitlines()[-1])
    return found


def part(name: str, trials: int, sampler: str, folder: str) -> Found:
    """One part, in this process."""
    if name == "simulated":
        return simulated(trials, sampler)
    out = Path(folder) / "large"
    if name == "reported":
        return reported(out)
    manifest, epochs = Path(folder) / "cohort", 1 if name == "through_ray" else WRITTEN_EPOCHS
    parts: list[Callable[[Plan, Path], Found]] = [written, resumed, through_ray]
    made = {each.__name__: each for each in parts}
    if not manifest.exists():
        write_phantom("lus", manifest, patients=12)
    return made[name](plan_of(trials, manifest, epochs, sampler), out)


@contextmanager
def emptied() -> Any:
    """A folder that is removed afterwards."""
    folder = tempfile.mkdtemp()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulated", default="1000,10000,100000", help="trials on the fake clock")
    parser.add_argument("--written", default="1000,10000", help="trials whose files are written")
    parser.add_argument("--through-ray", type=int, default=500, help="trials through Ray Tune")
    parser.add_argument("--samplers", default="random,tpe")
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.disable(logging.WARNING)
    if args.part:
        name, trials, sampler, folder = args.part
        print(json.dumps(part(name, int(trials), sampler, folder)))
        return
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start;")
    print(f"commit {git_sha()}\n")
    header("fake clock", "trials", "groups", "driver ms per trial", "GiB")
    for sampler in args.samplers.split(","):
        for trials in filter(None, args.simulated.split(",")):
            f = apart("simulated", trials, sampler, "-")
            row(sampler, f["trials"], f["groups"], f["ms"], f["gib"])
    print()
    header(
        *(
            "runs written",
            "groups",
            "driver ms per run",
            "GiB",
            "files per run",
            "KiB per run",
            "event files",
        ),
        *("resume s", "tables s", "GiB", "report s", "GiB"),
    )
    for trials in filter(None, args.written.split(",")):
        with emptied() as folder:
            w, r, p = (apart(name, trials, "random", folder) for name in ("written", "resumed", "reported"))
        row(*w.values(), *r.values(), *p.values())
    if args.through_ray:
        with emptied() as folder:
            t = apart("through_ray", args.through_ray, "random", folder)
        ours = ", ".join(f"{name} {ms:.2f}" for name, ms in t["ours"].items())
        print(
            f"\n{t['runs']} runs of one epoch through Ray Tune on two slots: {t['runs'] / t['wall']:.1f} per"
        )
        print(
            f"second; {t['driver_ms']:.1f} ms of the driver's processor time for each, under a profiler. Of"
        )
        print(f"these ours, in ms: {ours}. Most time in all, calls within included: {'; '.join(t['most'])}")


def header(*names: str) -> None:
    """The first two lines of a table."""
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)


def row(*values: Any) -> None:
    """A line of a table."""
    cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in values]
    print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
