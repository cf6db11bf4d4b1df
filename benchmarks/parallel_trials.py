"""What trials that run at a time gain in wall time, and what they cost in quality, on a fake clock.

    python benchmarks/parallel_trials.py [--regret] [--replicates 40] [--samplers tpe,random] [--budget 24]

First, the speed-up of whole studies on many devices by the number of trials of a search at a time: searched
trials of 25 epochs under halving, durations of epochs that vary twofold from run to run. Then the regret of
one search, on the landscapes of ``schedulers.py``, at equal epochs and at equal wall time. Prints Markdown.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.schedulers import BEST, EPOCHS, Landscape, group_of, space
from learner_ray.cohort import Fold
from learner_ray.run.spec import RunSpec
from learner_ray.study.callback import Callback
from learner_ray.study.fake_clock import Curve, FakeTime, MemoryStore, simulate
from learner_ray.study.planned_run import FoldSearchSpec, PlannedRun, RunResult
from learner_ray.study.profiles import PROFILES
from learner_ray.study.runner import StudyRunner
from learner_ray.study.study import Arm

DEVICES = (8, 64, 256, 1000)
ARMS = 6


def groups(arms: int, folds: int, trials: int, seeds: int, parallel: int) -> list[FoldSearchSpec]:
    """The groups of a study."""
    base = group_of(Landscape(0, crossing=True), "halving", "random")
    settings = replace(base.settings, seeds=seeds, parallel_trials=parallel)
    return [
        replace(
            base,
            arm=Arm(name=f"arm-{arm}", label=f"arm {arm}", seed_offset=str(arm)),
            fold=Fold(repeat=0, fold=fold, test=(f"p{fold}",), parts=(("b",), ("c",), ("d",), ("e",))),
            trials=trials,
            settings=settings,
        )
        for arm in range(arms)
        for fold in range(folds)
    ]


def uneven(spec: RunSpec) -> Curve:
    """A run whose epochs take as long as its hash says."""
    landscape = Landscape(0, crossing=True)
    seconds = float(np.exp(np.random.default_rng(int(spec.hash[:8], 16)).normal(0, 0.35)))

    def rows() -> Iterator[dict[str, Any]]:
        for row in landscape.train(spec).rows:
            yield {**row, "seconds/train": seconds}

    return Curve(rows=rows())


class Occupancy(Callback):
    """When each run began and ended."""

    def __init__(self, time: FakeTime) -> None:
        self._time = time
        self._begun: dict[str, float] = {}
        self.spans: list[tuple[float, float]] = []

    def on_start(self, planned: PlannedRun) -> None:
        self._begun[planned.label] = self._time()

    def on_end(self, outcome: RunResult) -> None:
        self.spans.append((self._begun.pop(outcome.planned.label), self._time()))

    def share(self, most: int) -> float:
        """The share of so many devices that is in use until the last run begins."""
        until = max(begin for begin, _ in self.spans)
        changes = sorted([(begin, 1) for begin, _ in self.spans] + [(end, -1) for _, end in self.spans])
        used, running, before = 0.0, 0, 0.0
        for now, change in changes:
            used += (min(now, until) - before) * min(running, most)
            before, running = min(now, until), running + change
        return used / (until * most)


def wall(found: list[FoldSearchSpec], devices: int, most: int) -> tuple[float, float, float]:
    """Seconds of a study on so many devices, the device-seconds of its runs, and the share of ``most``
    devices that is in use until the last run begins."""
    time = FakeTime()
    occupancy = Occupancy(time)
    study = StudyRunner(
        found,
        space,
        MemoryStore(),
        lambda _: optuna.create_study(direction="maximize"),
        callbacks=[occupancy],
    )
    seconds = simulate(study, uneven, devices=devices, time=time).seconds
    return seconds, sum(end - begin for begin, end in occupancy.spans), occupancy.share(most)


def speed_ups() -> None:
    """The table of speed-ups, with the share in use, until the last start, of the devices that can be."""
    shapes = {
        f"{name}, {ARMS} arms": (ARMS, size.folds * size.repeats, size.trials, size.seeds)
        for name, size in PROFILES.items()
    } | {"one arm, 5 folds, 48 trials": (1, 5, 48, 3)}
    print(
        "| study | P | "
        + " | ".join(f"{n} devices" for n in DEVICES)
        + " |\n|---|---|"
        + "---|" * len(DEVICES)
    )
    for name, shape in shapes.items():
        for parallel in (1, 4, 16):
            cells = []
            for devices in DEVICES:
                most = min(devices, shape[0] * shape[1] * min(parallel, shape[2]))
                seconds, busy, share = wall(groups(*shape, parallel), devices, most)
                cells.append(f"{busy / seconds:.1f} x ({busy / seconds / most:.2f}; {share:.2f})")
            print(f"| {name} | {parallel} | " + " | ".join(cells) + " |", flush=True)


def search(landscape: Landscape, group: FoldSearchSpec, until: float) -> list[RunResult]:
    """The trials of one group that have ended after some seconds, on as many devices as run at a time."""
    parallel = group.settings.parallel_trials
    if group.settings.pruner == "none":
        # Random trials are then handed out all at once: no more of them than there is time for.
        group = replace(group, trials=parallel * math.ceil(until / EPOCHS) + 1)
    study = StudyRunner([group], space, MemoryStore(), lambda _: optuna.create_study(direction="maximize"))
    simulate(study, landscape.train, devices=parallel, until=until)
    return study.outcomes


def regret(landscape: Landscape, outcomes: list[RunResult]) -> float:
    """Of the trial that would be chosen: the best one that ran to its end."""
    complete = [outcome for outcome in outcomes if outcome.state == "complete"]
    if not complete:
        return math.nan
    chosen = max(complete, key=lambda outcome: outcome.selection_score)
    return landscape.final(chosen.planned.spec.config) - BEST


def qualities(
    landscape: Landscape, pruner: str, sampler: str, parallel: int, budget: int
) -> tuple[float, float]:
    """Regret after as many epochs of ended trials, and at equal wall time, that of a quarter of them."""
    group = group_of(landscape, pruner, sampler)
    group = replace(group, settings=replace(group.settings, parallel_trials=parallel))
    # Half as long again as P devices need for the budget, since a lag leaves some idle now and then.
    spare = 1.5 if parallel > 1 else 1.0
    outcomes = search(landscape, group, until=spare * budget / parallel + EPOCHS)
    spent = np.cumsum([outcome.epochs for outcome in outcomes])
    assert spent[-1] + EPOCHS > budget
    at_equal_epochs = [o for o, epochs in zip(outcomes, spent, strict=True) if epochs <= budget]
    return regret(landscape, at_equal_epochs), regret(landscape, search(landscape, group, until=budget / 4))


def regrets(samplers: list[str], parallels: list[int], budget: int, replicates: int) -> None:
    """The table of regret."""
    print(
        "\n| sampler | pruner | curves | P | regret at equal epochs | at equal wall time |\n"
        "|---|---|---|---|---|---|"
    )
    for sampler in samplers:
        for pruner in ("halving", "none"):
            for crossing in (False, True):
                for parallel in parallels:
                    found = np.array(
                        [
                            qualities(Landscape(n, crossing), pruner, sampler, parallel, budget * EPOCHS)
                            for n in range(replicates)
                        ]
                    )
                    means, errors = np.nanmean(found, 0), np.nanstd(found, 0, ddof=1) / math.sqrt(replicates)
                    cells = [f"{m:.4f} ± {e:.4f}" for m, e in zip(means, errors, strict=True)]
                    curves = "cross" if crossing else "agree"
                    print(
                        f"| {sampler} | {pruner} | {curves} | {parallel} | " + " | ".join(cells) + " |",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--regret", action="store_true", help="the table of regret alone")
    parser.add_argument("--replicates", type=int, default=40)
    parser.add_argument("--samplers", default="tpe,random")
    parser.add_argument("--parallel", default="1,2,4,8,16", help="trials of a search at a time")
    parser.add_argument("--budget", type=int, default=24, help="whole schedules that a search may cost")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if not args.regret:
        speed_ups()
    parallels = [int(each) for each in args.parallel.split(",")]
    regrets(args.samplers.split(","), parallels, args.budget, args.replicates)


if __name__ == "__main__":
    main()
