"""Pruners and samplers at equal budgets of epochs, on synthetic learning curves and a fake clock.

    python benchmarks/schedulers.py [--quick] [--replicates 100]

A configuration's validation log-loss falls from chance (log 3) to a final value along a power of the epoch,
with noise. The final value is a bowl over four hyperparameters whose place and shape are drawn anew in every
replicate. Its lowest point is known: the regret is how far above it the chosen configuration lies, without
noise. Where curves agree all fall at one rate; where they cross, a larger learning rate falls faster,
wherever the best one is. Prints a Markdown table; about five minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from learner_ray.cohort import Fold
from learner_ray.core.components import PRUNERS
from learner_ray.core.config import Config, TrainConfig, flatten
from learner_ray.core.seeding import random_key
from learner_ray.run.spec import RunSpec, Source
from learner_ray.study.fake_clock import Curve, MemoryStore, simulate
from learner_ray.study.planned_run import FoldSearchSpec, RunResult, SearchSettings
from learner_ray.study.runner import StudyRunner
from learner_ray.study.samplers import SAMPLERS
from learner_ray.study.study import Arm, Suggest

EPOCHS = 25
BUDGETS = (6, 12, 24)
"""In whole schedules."""
NOISE = 0.02
"""SD of the validation log-loss from epoch to epoch."""
CHANCE, BEST, DEPTH = math.log(3), 0.75, 0.3
"""Log-losses: of guessing, of the best configuration, and how much worse a bad one is."""
RATE = 0.5
SPACE = {
    "train.lr": (3e-4, 3e-3),
    "train.weight_decay": (1e-3, 1e-1),
    "loss.margin": (0.02, 0.5),
    "loss.contrastive_weight": (0.1, 10.0),
}
"""All searched along their logarithm."""


def space(suggest: Suggest, config: Config) -> None:
    for key, (low, high) in SPACE.items():
        suggest.real(key, low, high, log=True)


@dataclass(frozen=True)
class Landscape:
    """The learning curves of one replicate."""

    seed: int
    crossing: bool
    noise: float = NOISE

    def position(self, config: Config) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The configuration in the unit cube."""
        values = flatten(config.to_dict())
        ends = SPACE.items()
        return np.array([math.log(values[key] / low) / math.log(high / low) for key, (low, high) in ends])

    def final(self, config: Config) -> float:
        """Log-loss at the end of the schedule, without noise."""
        rng = np.random.default_rng(random_key(self.seed, "landscape"))
        best, weights = rng.uniform(0.1, 0.9, len(SPACE)), rng.dirichlet(np.ones(len(SPACE)))
        distance = np.abs(self.position(config) - best) / np.maximum(best, 1 - best)
        return BEST + DEPTH * float(weights @ distance**2)

    def train(self, spec: RunSpec) -> Curve:
        return Curve(rows=self._rows(spec))

    def _rows(self, spec: RunSpec) -> Iterator[dict[str, Any]]:
        final = self.final(spec.config)
        rate = 2 * RATE * float(self.position(spec.config)[0]) + RATE / 2 if self.crossing else RATE
        noise = np.random.default_rng(random_key(self.seed, spec.hash)).normal(0, self.noise, EPOCHS)
        end = (EPOCHS + 1) ** -rate
        for epoch in range(1, EPOCHS + 1):
            left = ((epoch + 1) ** -rate - end) / (1 - end)
            loss = final + (CHANCE - final) * left + noise[epoch - 1]
            yield {"epoch": epoch, "selection_score": -loss, "seconds/train": 1.0, "seconds/evaluate": 0.0}


def group_of(landscape: Landscape, pruner: str, sampler: str) -> FoldSearchSpec:
    """One group, with more trials than the budget allows."""
    return FoldSearchSpec(
        arm=Arm(name="contrastive", label="MSE + contrastive"),
        config=Config(train=TrainConfig(epochs=EPOCHS)).with_values({"loss.name": "contrastive"}),
        fixed=frozenset(),
        fold=Fold(repeat=0, fold=0, test=("a",), parts=(("b",), ("c",), ("d",), ("e",))),
        trials=EPOCHS * max(BUDGETS) + 1,
        settings=SearchSettings(seed=landscape.seed, seeds=1, pruner=pruner, sampler=sampler),
        source=Source(path="synthetic"),
    )


def search(landscape: Landscape, pruner: str, sampler: str) -> list[RunResult]:
    """The trials of one group on one device, in order, until the largest budget is spent."""
    group = group_of(landscape, pruner, sampler)
    study = StudyRunner([group], space, MemoryStore(), lambda _: optuna.create_study(direction="maximize"))
    simulate(study, landscape.train, devices=1, until=EPOCHS * max(BUDGETS))
    return study.outcomes


def regrets(landscape: Landscape, outcomes: list[RunResult]) -> list[float]:
    """Of the trial that would be chosen at each budget: the best one that ran to its end."""
    spent = np.cumsum([outcome.epochs for outcome in outcomes])
    found = []
    for budget in BUDGETS:
        complete = [
            outcome
            for outcome, epochs in zip(outcomes, spent, strict=True)
            if epochs <= budget * EPOCHS and outcome.state == "complete"
        ]
        chosen = max(complete, key=lambda outcome: outcome.selection_score)
        found.append(landscape.final(chosen.planned.spec.config) - BEST)
    return found


def row(pruner: str, sampler: str, crossing: bool, replicates: int) -> str:
    """One line of the table."""
    found: list[list[float]] = []
    started: list[int] = []
    complete: list[int] = []
    for seed in range(replicates):
        landscape = Landscape(seed, crossing)
        outcomes = search(landscape, pruner, sampler)
        found.append(regrets(landscape, outcomes))
        started.append(len(outcomes))
        complete.append(sum(outcome.state == "complete" for outcome in outcomes))
    means = np.mean(found, axis=0)
    errors = np.std(found, axis=0, ddof=1) / math.sqrt(replicates)
    cells = [f"{mean:.4f} ± {error:.4f}" for mean, error in zip(means, errors, strict=True)]
    trials = f"{np.mean(complete):.0f} of {np.mean(started):.0f}"
    curves = "cross" if crossing else "agree"
    return "| " + " | ".join([curves, pruner, sampler, *cells, trials]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="three replicates")
    args = parser.parse_args()
    replicates = 3 if args.quick else args.replicates
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"Regret in log-loss (mean ± standard error of {replicates} replicates) after as many epochs as")
    print(f"N whole schedules of {EPOCHS} epochs have; trials that ran to their end, of those started.\n")
    budgets = " | ".join(f"N = {budget}" for budget in BUDGETS)
    print(f"| curves | pruner | sampler | {budgets} | trials |")
    print("|---|---|---|" + "---|" * (len(BUDGETS) + 1))
    for crossing in (False, True):
        for pruner in PRUNERS.built_in:
            for sampler in SAMPLERS:
                print(row(pruner, sampler, crossing, replicates), flush=True)


if __name__ == "__main__":
    main()
