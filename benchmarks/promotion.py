"""Whether halving that only pauses trials beats halving that stops them, on a fake clock.

    python benchmarks/promotion.py [--replicates 30] [--samplers tpe,random] [--lag 2]

Successive halving with promotion (Li 2020, arXiv 1810.05934): a trial pauses at every rung, and goes on as
soon as it is among the best 1/eta of those that have reached the rung. Here it is a list of steps. Step t
trains one trial from a rung to the next: the best that may go on, from the highest rung down, else a new one.
It goes by the outcomes of steps 0 to t - L alone, so the list is the same whatever ends first. The sampler
knows a paused trial as a stopped one, up to the rung that it is known to have reached. To pause and to go on
costs nothing here.

Prints, as Markdown, the regret of the landscapes of ``schedulers.py`` by halving with promotion, by the
present one, which stops, and without a pruner; and the differences within a landscape, below zero where
promotion is better, with their standard errors. The budget is the epochs of N whole schedules.
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.parallel_trials import search
from benchmarks.schedulers import BEST, BUDGETS, EPOCHS, NOISE, Landscape, group_of, space
from learner_ray.core.config import Config
from learner_ray.study.halving import Halving
from learner_ray.study.lag import trials_before
from learner_ray.study.planned_run import FoldSearchSpec
from learner_ray.study.recipe_checks import ranges_of, start_of
from learner_ray.study.samplers import make_sampler
from learner_ray.study.study import Suggest

ETA, RUNGS = Halving().eta, Halving().rungs(EPOCHS)
WAYS = ("promotion", "halving", "none")


@dataclass
class Trial:
    """A trial, the scores of its whole schedule, and the last epoch that a step was to train."""

    config: Config
    asked: optuna.Trial
    scores: list[float]
    until: int = 0


class Step(NamedTuple):
    """One trial trained from the first of two epochs to the last, until a second of the clock."""

    trial: Trial
    first: int
    last: int
    end: float


@dataclass
class Promotion:
    """A search by halving with promotion."""

    landscape: Landscape
    group: FoldSearchSpec
    lag: int
    steps: list[Step] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    def run(self, epochs: int) -> list[Step]:
        """The steps in order of their ends, on as many devices as trials run at a time."""
        free = [0.0] * self.group.settings.parallel_trials
        while sum(step.last - step.first for step in self.steps) < epochs:
            known = self.steps[: trials_before(len(self.steps), self.lag)]
            trial = self.promoted(known) or self.new(known)
            first, trial.until = trial.until, next(r for r in (*RUNGS, EPOCHS) if r > trial.until)
            start = max([heapq.heappop(free), *(step.end for step in known)])
            self.steps.append(Step(trial, first, trial.until, start + trial.until - first))
            heapq.heappush(free, self.steps[-1].end)
        return sorted(self.steps, key=lambda step: step.end)

    def promoted(self, known: list[Step]) -> Trial | None:
        """The trial that goes on, if any may."""
        for rung in reversed(RUNGS):
            reached = sorted((s.trial for s in known if s.last == rung), key=lambda t: -t.scores[rung - 1])
            for trial in reached[: len(reached) // ETA]:
                if trial.until == rung:
                    return trial
        return None

    def new(self, known: list[Step]) -> Trial:
        """The next trial that the sampler suggests, by the same draws as in the other searches."""
        group, number, settings = self.group, len(self.trials), self.group.settings
        seeds = group.run_seed("sampler", 0), group.run_seed("sampler", number)
        sampler = make_sampler(settings.sampler, *seeds, parallel=settings.parallel_trials > 1)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        if settings.sampler != "random":  # which asks for none
            study.add_trials([self.as_known(trial, known) for trial in self.trials])
        if number == 0:
            ranges = ranges_of(group.name, space, group.config, group.fixed)
            study.enqueue_trial(start_of(ranges, group.config, group.name))
        suggest = Suggest(asked := study.ask(), group.fixed)
        space(suggest, group.config)
        config = replace(group.config.with_values(suggest.values), seed=group.run_seed("trial"))
        rows = self.landscape.train(group.spec(config, final=False)).rows
        self.trials.append(Trial(config, asked, [row["selection_score"] for row in rows]))
        return self.trials[-1]

    def as_known(self, trial: Trial, known: list[Step]) -> FrozenTrial:
        """A trial as the sampler sees it."""
        reached = max((step.last for step in known if step.trial is trial), default=0)
        states = {0: TrialState.RUNNING, EPOCHS: TrialState.COMPLETE}
        return create_trial(
            state=states.get(reached, TrialState.PRUNED),
            value=selected(trial.scores) if reached == EPOCHS else None,
            params=trial.asked.params,
            distributions=trial.asked.distributions,
            intermediate_values={epoch + 1: trial.scores[epoch] for epoch in range(reached)},
        )


def selected(scores: list[float]) -> float:
    """The selection score of a trial, as ``RunResult`` has it."""
    return max(scores[math.ceil(EPOCHS / 2) - 1 :] or scores)


def regret(landscape: Landscape, found: list[tuple[Config, list[float]]]) -> float:
    """Of the chosen trial: the best that ran to its end, or, if none did, of those that came furthest."""
    config, _ = max(found, key=lambda each: (len(each[1]), selected(each[1])))
    return landscape.final(config) - BEST


Ended = tuple[list[tuple[Config, list[float]]], list[int]]
"""What has ended, in order: configurations with their scores so far, and the epochs that each cost."""


def by_promotion(landscape: Landscape, group: FoldSearchSpec, lag: int) -> Ended:
    steps = Promotion(landscape, group, lag).run((max(BUDGETS) + group.settings.parallel_trials) * EPOCHS)
    scores = [(step.trial.config, step.trial.scores[: step.last]) for step in steps]
    return scores, [step.last - step.first for step in steps]


def by_product(landscape: Landscape, group: FoldSearchSpec) -> Ended:
    """A search as the package does it."""
    parallel = group.settings.parallel_trials
    spare = 1.5 if parallel > 1 else 1.0  # a lag leaves some devices idle now and then
    outcomes = search(landscape, group, until=spare * max(BUDGETS) * EPOCHS / parallel + EPOCHS)
    scores = [(o.planned.spec.config, [*o.scores.values()]) for o in outcomes]
    return scores, [len(each) for _, each in scores]


def regrets(landscape: Landscape, sampler: str, parallel: int, lag: int) -> list[list[float]]:
    """By way, then by budget."""
    found = []
    for way in WAYS:
        group = group_of(landscape, "none" if way == "promotion" else way, sampler)
        group = replace(group, settings=replace(group.settings, parallel_trials=parallel))
        ended = by_promotion(landscape, group, lag) if way == "promotion" else by_product(landscape, group)
        spent = np.cumsum(ended[1])
        assert spent[-1] + EPOCHS > max(BUDGETS) * EPOCHS
        found.append([regret(landscape, ended[0][: int(np.sum(spent <= n * EPOCHS))]) for n in BUDGETS])
    return found


def table(samplers: list[str], replicates: int, steps: int) -> None:
    print("| sampler | P | curves | noise | N | " + " | ".join(WAYS), end=" | ")
    print("promotion - halving | promotion - none |\n" + "|---" * 10 + "|")
    for sampler, parallel, crossing, noise in product(samplers, (1, 4), (False, True), (NOISE, 2 * NOISE)):
        lag = steps * parallel if parallel > 1 else 1
        landscapes = [Landscape(n, crossing, noise) for n in range(replicates)]
        found = np.array([regrets(landscape, sampler, parallel, lag) for landscape in landscapes])
        for n, by_way in zip(BUDGETS, np.moveaxis(found, 0, -1).swapaxes(0, 1), strict=True):
            cells = [sampler, str(parallel), "cross" if crossing else "agree", str(noise), str(n)]
            cells += [f"{mean:.4f}" for mean in by_way.mean(1)]
            for less in by_way[0] - by_way[1:]:
                cells.append(f"{np.mean(less):+.4f} ± {np.std(less, ddof=1) / math.sqrt(replicates):.4f}")
            print("| " + " | ".join(cells) + " |")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicates", type=int, default=30)
    parser.add_argument("--samplers", default="tpe,random")
    parser.add_argument("--lag", type=int, default=2, help="L, in steps for every trial at a time")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table(args.samplers.split(","), args.replicates, args.lag)


if __name__ == "__main__":
    main()
